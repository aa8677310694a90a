/**
 * What the engines within this process's reach can do, and the messages in which a child process or a worker is asked for it. Requests
 * are answered one by one, in their order.
 */
import type { External, NamingFacts } from './externals.ts';
import type { RuleFile } from './rule-files.ts';

/** A rule that matched. */
export interface Match {
  readonly rule: string;
  /** The place of its file in the list that was loaded. */
  readonly file: number;
}

/** Why a rule file does not compile. */
export interface Fault {
  readonly line?: number;
  readonly message: string;
}

export interface Scanner {
  /** Compiles one file alone and throws it away. */
  check(file: RuleSource): Fault | undefined;
  /** Compiles files that each passed `check`. */
  load(files: readonly RuleFile[], maxMatches: number): void;
  /** `facts`: whenever a loaded rule uses external variables. Throws what `failureOf` understands. */
  scan(path: string, facts?: NamingFacts): readonly Match[];
}

export interface RuleSource {
  readonly text: string;
  readonly externals: readonly External[];
}

export type Request =
  | { readonly ask: 'check'; readonly file: RuleSource }
  | { readonly ask: 'load'; readonly files: readonly RuleFile[]; readonly maxMatches: number }
  | { readonly ask: 'scan'; readonly path: string; readonly facts?: NamingFacts };

export interface Failure {
  readonly reason: 'vanished' | 'unreadable' | 'not-regular' | 'engine-failed';
  readonly detail: string;
}

export type Reply =
  | { readonly told: 'checked'; readonly fault?: Fault }
  | { readonly told: 'loaded' }
  | { readonly told: 'scanned'; readonly matches: readonly Match[] }
  | { readonly told: 'failed'; readonly failure: Failure };

export function reply(scanner: Scanner, request: Request): Reply {
  switch (request.ask) {
    case 'check': {
      const fault = scanner.check(request.file);
      return fault === undefined ? { told: 'checked' } : { told: 'checked', fault };
    }
    case 'load':
      scanner.load(request.files, request.maxMatches);
      return { told: 'loaded' };
    case 'scan':
      try {
        return { told: 'scanned', matches: scanner.scan(request.path, request.facts) };
      } catch (error) {
        return { told: 'failed', failure: failureOf(error) };
      }
  }
}

const REASONS: Readonly<Record<string, Failure['reason']>> = {
  ENOENT: 'vanished',
  EACCES: 'unreadable',
  EPERM: 'unreadable',
  EISDIR: 'not-regular',
};
/** Rust names a system error by its number alone. */
const BY_NUMBER: Readonly<Record<string, string>> = { 1: 'EPERM', 2: 'ENOENT', 13: 'EACCES', 21: 'EISDIR' };

function failureOf(error: unknown): Failure {
  const detail = error instanceof Error ? error.message : String(error);
  const number = /\(os error (\d+)\)/.exec(detail)?.[1];
  const code = number === undefined ? (error as { code?: unknown } | undefined)?.code : BY_NUMBER[number];
  return { reason: REASONS[String(code)] ?? 'engine-failed', detail };
}

/** The first of the compiler's messages: `error[E009]: unknown identifier …`, with ` --> line:3:22` below it. */
export function faultOf(message: string): Fault {
  const [first = ''] = message.split('\n', 1);
  const text = /^error\[E04[234]\]/.test(first)
    ? 'include is not supported: name the included file itself under "rules"'
    : first;
  const line = /-->\s*line:(\d+)/.exec(message)?.[1];
  return line === undefined ? { message: text } : { line: Number(line), message: text };
}
