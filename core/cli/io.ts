/** Where a command reads its circumstances and writes its output; tests hand in their own. */
export interface Output {
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
  /** Ends the process at once. */
  abort(exitCode: number): void;
}

/** A file has room: what goes there, and on to other programs, is never shortened. */
const COLUMNS_OF_A_FILE = Number.POSITIVE_INFINITY;

type Stream = NodeJS.WriteStream;

const outputOf = (stream: Stream): Output => ({
  write: (text) => stream.write(text),
  get isTTY() {
    return stream.isTTY === true;
  },
  get columns() {
    return stream.columns || COLUMNS_OF_A_FILE;
  },
});

/** The process's own. A reader that has gone (`lazaret findings | head`) ends the process quietly. */
export function processIo(): Io {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endWhenReaderIsGone);
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
      const signals = ['SIGINT', 'SIGTERM'] as const;
      for (const signal of signals) process.on(signal, listener);
      return () => {
        for (const signal of signals) process.off(signal, listener);
      };
    },
    abort: (code) => process.exit(code),
  };
}

function endWhenReaderIsGone(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
}
