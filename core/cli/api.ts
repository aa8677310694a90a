import type { Command } from 'commander';
import { EXIT } from './exit.ts';
import { type Context, perform, type Run } from './run.ts';

export function registerApi(program: Command, context: Context): void {
  const api = program.command('api').description("the daemon's HTTP API");
  api
    .command('schema')
    .description('prints the OpenAPI 3.1 document of the API')
    .action(perform(context, schema));
}

async function schema(run: Run): Promise<number> {
  // The server is heavy, and no other command needs it.
  const { openApiDocument } = await import('../service/api/document.ts');
  run.print(JSON.stringify(await openApiDocument(), undefined, run.json ? undefined : 2));
  return EXIT.ok;
}
