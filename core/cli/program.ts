/** The command line: one file per command, gathered here. */
import { Command, CommanderError } from 'commander';
import { registerApi } from './api.ts';
import { registerConfig } from './config.ts';
import { registerDemo } from './demo.ts';
import { registerDoctor } from './doctor.ts';
import { registerEnrol } from './enrol.ts';
import { EXIT } from './exit.ts';
import { registerFindings } from './findings.ts';
import { registerPack } from './pack.ts';
import { registerPatch } from './patch.ts';
import { registerPlugin } from './plugin.ts';
import { registerQuarantine } from './quarantine.ts';
import type { Context } from './run.ts';
import { registerScan } from './scan.ts';
import { registerServe } from './serve.ts';
import { registerVm } from './vm.ts';

const HELP_COLUMNS = 110;

/** Runs one command line (without the program's own name); its exit code is in `context.io`. */
export async function runCommandLine(
  args: readonly string[],
  version: string,
  context: Context,
): Promise<void> {
  try {
    await buildProgram(version, context).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Commander has said what is wrong; help and version are asked for and so no failure.
    context.io.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

function buildProgram(version: string, context: Context): Command {
  const { io } = context;
  const program = new Command('lazaret')
    .description('Finds and removes malware in KVM virtual machines from the host.')
    .version(version)
    .option('--config <file>', 'read this configuration instead of /etc/lazaret/lazaret.yaml')
    .option('--state <directory>', 'use this state directory instead of the configured one')
    .option('--json', 'one JSON object a line on stdout')
    .option('--no-color', 'no colours')
    .option('--debug', 'say what goes on; show the stack of an error')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => Math.min(io.stdout.columns, HELP_COLUMNS),
      getErrHelpWidth: () => Math.min(io.stderr.columns, HELP_COLUMNS),
      outputError: (text, write) => write(`lazaret: ${text.replace(/^error: /, '').trimEnd()} (usage)\n`),
    })
    .showHelpAfterError('  next: lazaret --help')
    .exitOverride();
  registerDemo(program, context);
  registerScan(program, context);
  registerServe(program, context);
  registerVm(program, context);
  registerEnrol(program, context);
  registerFindings(program, context);
  registerQuarantine(program, context);
  registerPatch(program, context);
  registerPack(program, context);
  registerPlugin(program, context);
  registerConfig(program, context);
  registerApi(program, context);
  registerDoctor(program, context);
  return program;
}
