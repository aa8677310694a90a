import type { Command } from 'commander';
import { CONFIG_DIRECTORY, loadSettings, settingsJsonSchema } from '../config/index.ts';
import { EXIT } from './exit.ts';
import { type Context, perform, type Run } from './run.ts';
import { harmless } from './text.ts';

export function registerConfig(program: Command, context: Context): void {
  const config = program.command('config').description('the configuration');
  config
    .command('check')
    .description('tells every error of the configuration, with file, line, column and key')
    .action(perform(context, (run) => check(run, context)));
  config
    .command('schema')
    .description('prints the JSON Schema of a configuration file, for editors')
    .action(perform(context, schema));
}

async function check(run: Run, context: Context): Promise<number> {
  const { files, settings } = await loadSettings({ file: run.options.config }, (configured) =>
    context.plugins(configured),
  );
  if (run.json) run.printJson({ files, settings });
  else if (files.length > 0) run.print(`the configuration is right: ${files.map(harmless).join(', ')}`);
  else run.print(`nothing is configured in ${CONFIG_DIRECTORY}: the defaults hold`);
  return EXIT.ok;
}

async function schema(run: Run): Promise<number> {
  run.print(JSON.stringify(settingsJsonSchema(), undefined, run.json ? undefined : 2));
  return EXIT.ok;
}
