/**
 * The child process of one third-party plugin: started under Node's permission model, it loads the plugin and
 * asks it what the host asks (see messages.ts). `lazaret/plugin` is the host's own, wherever the package lies.
 */
import { registerHooks } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import type { Answer, Detector, Plugin } from '../api/index.ts';
import type { FromChild, ToChild } from './messages.ts';
import { withhold } from './withhold.ts';

const suffix = import.meta.url.slice(-3);
const api = new URL(`../api/index${suffix}`, import.meta.url).href;
const write = process.stdout.write.bind(process.stdout);
const say = (message: FromChild): void => void write(`${JSON.stringify(message)}\n`);
const calls = new Map<number, AbortController>();
let detector: Detector | undefined;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'lazaret/plugin' ? { url: api, shortCircuit: true } : next(specifier, context),
});
withhold();
// What a plugin prints is not for the host to read.
globalThis.console = new console.Console(process.stderr, process.stderr);

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
const note = (message: string): void => void process.stderr.write(`${message}\n`);

async function load(entry: string): Promise<Plugin<'detector'>> {
  const { default: plugin } = await import(pathToFileURL(entry).href);
  if (typeof plugin?.setup !== 'function') throw new Error('its default export is no definePlugin(…)');
  return plugin;
}

async function check(entry: string, options: unknown): Promise<void> {
  const result = await (await load(entry)).options['~standard'].validate(options);
  const issues = (result.issues ?? []).map(({ message, path = [] }) => ({
    message,
    path: path.map((step) =>
      String(typeof step === 'object' && step !== null && 'key' in step ? step.key : step),
    ),
  }));
  say({ type: 'checked', issues });
}

async function setUp({
  entry,
  options: given,
  signatures,
}: Extract<ToChild, { type: 'setup' }>): Promise<void> {
  const plugin = await load(entry);
  const checked = await plugin.options['~standard'].validate(given);
  if (checked.issues) throw new Error(checked.issues.map(({ message }) => message).join('; '));
  detector = await plugin.setup({
    options: checked.value,
    logger: { debug: note, info: note, warn: note },
    signatures,
    // It may write nowhere.
    cache: '',
    signal: new AbortController().signal,
  });
  const { engine, problems, digests, reads, concurrency } = detector;
  say({
    type: 'ready',
    engine,
    problems: [...problems],
    digests: digests && [...digests],
    reads,
    concurrency,
  });
}

async function detect({ call, subjects }: Extract<ToChild, { type: 'detect' }>): Promise<void> {
  const abort = new AbortController();
  calls.set(call, abort);
  try {
    if (!detector) throw new Error('it was not set up');
    for await (const answer of detector.detect(subjects, abort.signal)) {
      say({ type: 'answer', call, answer: plain(answer) });
    }
    say({ type: 'done', call });
  } catch (error) {
    say({ type: 'done', call, error: messageOf(error) });
  } finally {
    calls.delete(call);
  }
}

type Said = Extract<FromChild, { type: 'answer' }>['answer'];

/** What JSON makes of it has no `readonly`; whether it is well-formed is for the host to find out. */
const plain = (answer: Answer): Said => answer as Said;

async function obey(message: ToChild): Promise<void> {
  if (message.type === 'check') await check(message.entry, message.options);
  else if (message.type === 'setup') await setUp(message);
  else if (message.type === 'abort') calls.get(message.call)?.abort();
  else await detect(message);
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  obey(JSON.parse(line)).catch((error) => say({ type: 'failed', message: messageOf(error) }));
});
// The host is gone.
lines.on('close', () => process.exit());
