import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';

/** Where a command reads its circumstances and writes its output; tests hand in their own. */
export interface Output {
  /** For those who must wait for the reader. */
  readonly stream: Writable;
  write(text: string): unknown;
  readonly isTTY: boolean;
  readonly columns: number;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the process exits with. */
  exitCode: number;
  /** Calls `listener` for each interrupt (Ctrl-C, SIGTERM) until the returned function is called. */
  onInterrupt(listener: () => void): () => void;
  /**
   * Calls `listener` for each SIGHUP until the returned function is called; without a listener it ends the process.
   * One that tells of a closed terminal is an interrupt.
   */
  onHangup(listener: () => void): () => void;
  /** Ends the process at once. */
  abort(exitCode: number): void;
}

/** A file has room: what goes there, and on to other programs, is never shortened. */
const COLUMNS_OF_A_FILE = Number.POSITIVE_INFINITY;

type Stream = NodeJS.WriteStream;

const outputOf = (stream: Stream): Output => ({
  stream,
  write: (text) => stream.write(text),
  get isTTY() {
    return stream.isTTY === true;
  },
  get columns() {
    return stream.columns || COLUMNS_OF_A_FILE;
  },
});

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** The process's own. A reader that has gone (`lazaret findings | head`) counts as an interrupt. */
export function processIo(): Io {
  const listeners = new Set<() => void>();
  const interrupt = () => {
    for (const listener of listeners) listener();
  };
  for (const stream of [process.stdout, process.stderr]) onReaderGone(stream, interrupt);
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    env: process.env,
    get exitCode() {
      return Number(process.exitCode ?? 0);
    },
    set exitCode(code) {
      process.exitCode = code;
    },
    onInterrupt(listener) {
      if (listeners.size === 0) for (const signal of SIGNALS) process.on(signal, interrupt);
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) for (const signal of SIGNALS) process.off(signal, interrupt);
      };
    },
    onHangup(listener) {
      const act = () => (isTerminalGone() ? interrupt() : listener());
      process.on('SIGHUP', act);
      return () => process.off('SIGHUP', act);
    },
    abort: (code) => process.exit(code),
  };
}

const isTerminalGone = (): boolean =>
  [process.stdout, process.stderr].some(({ isTTY, fd }) => isTTY && !isatty(fd));

/** A pipe without a reader; a terminal that was closed. */
const GONE: ReadonlySet<string> = new Set(['EPIPE', 'EIO']);

/** Calls `listener` once; what is written to the stream after that goes nowhere. */
function onReaderGone(stream: Stream, listener: () => void): void {
  let gone = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (gone) return;
    if (error.code === undefined || !GONE.has(error.code)) throw error;
    gone = true;
    listener();
  });
}
