/** Run by hash-index.test.ts: opens the index of one list when it is told to, and tells what it holds. */
import { once } from 'node:events';
import { registerHooks } from 'node:module';

const api = new URL('../../../core/api/index.ts', import.meta.url).href;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'lazaret/plugin' ? { url: api, shortCircuit: true } : next(specifier, context),
});
const { openIndex } = await import('./index-cache.ts');

const [path = '', cache = ''] = process.argv.slice(2);
const silent = () => undefined;
process.stdout.write('ready\n');
await once(process.stdin, 'data');
const index = await openIndex({
  lists: [{ path, source: 'list', judgement: 'malicious' }],
  cache,
  logger: { debug: silent, info: silent, warn: silent },
  signal: new AbortController().signal,
});
process.stdout.write(JSON.stringify(index.contents));
process.exit();
