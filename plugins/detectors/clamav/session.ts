/**
 * clamd's protocol (clamd(8), "COMMANDS"), as far as it is used here. A connection begins with `zIDSESSION`;
 * each command after it is `zCOMMAND ARGUMENT` and its answer `N: TEXT`, both ended by a NUL byte, N counting
 * the commands from 1. `zINSTREAM` is followed by chunks, each a length of 4 bytes (big-endian) and so many
 * bytes, ended by a chunk of length 0.
 *
 * A session could carry many commands at once, but one that hangs would then take the others with it when the
 * connection is broken off. So each carries one at a time, and there are as many sessions as clamd is to work
 * at once; that is as fast (docs/decisions/clamd-protocol.md).
 */
import { connect, type Socket } from 'node:net';
import { ClamdError } from './clamd-error.ts';

/** No answer comes near it: the longest echoes a path. */
const LONGEST_ANSWER = 64 * 1024;
const END = '\0';

export class Session {
  private readonly socket: Socket;
  private readonly onEnd: (session: Session) => void;
  private serial = 0;
  private received = '';
  private waiting: PromiseWithResolvers<string> | undefined;
  private ended = false;

  private constructor(socket: Socket, onEnd: (session: Session) => void) {
    this.socket = socket;
    this.onEnd = onEnd;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.receive(text));
    socket.on('error', (cause) => this.fail(lost(cause)));
    socket.on('close', () => this.fail(lost()));
    socket.write(`zIDSESSION${END}`);
    this.rest();
  }

  /** `onEnd` is called once when the session can be used no more. Rejects with ClamdError `unreachable`. */
  static open(path: string, timeoutMs: number, onEnd: (session: Session) => void): Promise<Session> {
    return new Promise((resolve, reject) => {
      const socket = connect(path);
      const unreachable = (cause: Error) => {
        socket.destroy();
        reject(
          new ClamdError('unreachable', `nobody takes connections at ${path}: ${cause.message}`, { cause }),
        );
      };
      socket.setTimeout(timeoutMs, () => unreachable(new Error('it takes no connection')));
      socket.once('error', unreachable);
      socket.once('connect', () => {
        socket.setTimeout(0);
        socket.removeAllListeners();
        resolve(new Session(socket, onEnd));
      });
    });
  }

  /** The answer to one command, without its number. Rejects with ClamdError; the session has then ended. */
  async ask(command: string, content?: AsyncIterable<Buffer>): Promise<string> {
    if (this.ended) throw lost();
    this.socket.ref();
    this.serial += 1;
    const waiting = Promise.withResolvers<string>();
    this.waiting = waiting;
    this.socket.write(`z${command}${END}`);
    if (content !== undefined) this.send(content, waiting).catch((cause) => this.fail(unreadable(cause)));
    try {
      return await waiting.promise;
    } finally {
      this.rest();
    }
  }

  /** Breaks it off; what was asked is rejected with `reason`. */
  end(reason: ClamdError = lost()): void {
    this.fail(reason);
  }

  /** An idle session keeps no process alive. */
  private rest(): void {
    this.waiting = undefined;
    this.socket.unref();
  }

  /** Content goes no faster than clamd takes it, and stops when it has answered or is gone. */
  private async send(content: AsyncIterable<Buffer>, waiting: PromiseWithResolvers<string>): Promise<void> {
    for await (const bytes of content) {
      if (bytes.length > 0) await this.write(Buffer.concat([lengthOf(bytes), bytes]));
      if (this.waiting !== waiting) return;
    }
    await this.write(lengthOf(Buffer.alloc(0)));
  }

  private write(bytes: Buffer): Promise<void> {
    const taken = this.socket.write(bytes);
    if (taken || this.ended) return Promise.resolve();
    return new Promise((resolve) => {
      const go = () => {
        this.socket.off('drain', go).off('close', go);
        resolve();
      };
      this.socket.on('drain', go).on('close', go);
    });
  }

  private receive(text: string): void {
    this.received += text;
    for (let at = this.received.indexOf(END); at >= 0 && !this.ended; at = this.received.indexOf(END)) {
      const answer = this.received.slice(0, at);
      this.received = this.received.slice(at + 1);
      this.settle(answer);
    }
    if (this.received.length > LONGEST_ANSWER) this.fail(nonsense(this.received));
  }

  private settle(answer: string): void {
    const number = `${this.serial}: `;
    if (this.waiting === undefined || !answer.startsWith(number)) this.fail(nonsense(answer));
    else {
      this.waiting.resolve(answer.slice(number.length));
      this.waiting = undefined;
    }
  }

  private fail(reason: ClamdError): void {
    if (this.ended) return;
    this.ended = true;
    this.socket.destroy();
    this.waiting?.reject(reason);
    this.onEnd(this);
  }
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
}

const lost = (cause?: Error): ClamdError =>
  new ClamdError('lost', `clamd ended the connection${cause ? `: ${cause.message}` : ''}`, { cause });

const unreadable = (cause: unknown): ClamdError =>
  new ClamdError(
    'unreadable',
    `the content cannot be read: ${cause instanceof Error ? cause.message : cause}`,
    {
      cause,
    },
  );

const nonsense = (text: string): ClamdError =>
  new ClamdError('nonsense', `clamd gave no answer to what was asked: ${JSON.stringify(text.slice(0, 80))}`);
