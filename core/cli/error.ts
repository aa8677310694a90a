/** How a command that failed tells so. */
import { CodedError } from '../../protocol/index.ts';
import { PluginError } from '../api/error.ts';
import { ConfigError } from '../error.ts';
import { EXIT } from './exit.ts';
import type { Paint } from './style.ts';
import { harmless } from './text.ts';

/** The command line asks for what does not exist or does not go together. */
export class UsageError extends CodedError<'usage'> {
  constructor(message: string) {
    super('usage', message);
  }
}

/** A person ended the command before it had done anything. */
export class InterruptedError extends CodedError<'interrupted'> {
  constructor() {
    super('interrupted', 'interrupted: nothing more was done');
  }
}

const DEEPEST_CAUSE = 8;
const REPORT_IT = 'this should not happen; run it again with --debug and report what it prints';

/** `failed` is what the command exits with when it was asked rightly and could not do it. */
export function exitCodeOf(error: unknown, failed: number): number {
  if (error instanceof UsageError) return EXIT.usage;
  return isConfigurationError(error) ? EXIT.configuration : failed;
}

const isConfigurationError = (error: unknown): error is Error =>
  error instanceof ConfigError || (error instanceof PluginError && error.code === 'bad-options');

/** `lazaret: <message> (<code>)`, its causes and what to do next, each on a line of its own; with `debug` the stack. */
export function renderError(error: unknown, paint: Paint, debug: boolean): string {
  const lines = [`${paint('bad', 'lazaret:')} ${summaryOf(error)}`];
  let cause = causeOf(error);
  for (let depth = 0; cause !== undefined && depth < DEEPEST_CAUSE; depth++) {
    lines.push(`  because: ${summaryOf(cause)}`);
    cause = causeOf(cause);
  }
  // Errors of ours say themselves what to do.
  if (!(error instanceof CodedError)) lines.push(`  next: ${REPORT_IT}`);
  if (debug && error instanceof Error) lines.push(...(error.stack ?? '').split('\n').map(harmless));
  return `${lines.join('\n')}\n`;
}

function summaryOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const faulty = faultyInput(error);
  if (faulty && message.includes('\n')) {
    return `${faulty} has errors (${code})\n${message
      .split('\n')
      .map((line) => `  ${harmless(line)}`)
      .join('\n')}`;
  }
  return code ? `${harmless(message)} (${harmless(code)})` : harmless(message);
}

/** What is at fault where a message has one line an error. */
function faultyInput(error: unknown): string | undefined {
  if (isConfigurationError(error)) return 'the configuration';
  return error instanceof PluginError && error.code === 'bad-bundle' ? 'the bundle' : undefined;
}

const causeOf = (error: unknown): unknown => (error instanceof Error ? error.cause : undefined);

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
