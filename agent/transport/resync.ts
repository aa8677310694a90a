/**
 * From a stream of bytes that may hold leftovers to one session after another: a preamble ends the session
 * there was and begins a new one (`protocol/resync.ts`).
 */
import { Duplex } from 'node:stream';
import { echo, PreambleScanner } from '../../protocol/index.ts';

/** Starts to serve a session on its own stream; the function it returns ends that. */
export type SessionStart = (stream: Duplex) => () => void;

export class Resync {
  private readonly line: Duplex;
  private readonly start: SessionStart;
  private readonly scanner = new PreambleScanner();
  private current:
    | { readonly nonce: Buffer; readonly stream: SessionStream; readonly end: () => void }
    | undefined;

  constructor(line: Duplex, start: SessionStart) {
    this.line = line;
    this.start = start;
    line.on('data', (chunk: Buffer) => this.receive(chunk));
    line.on('hostGone', () => this.endSession());
    line.on('close', () => this.endSession());
  }

  endSession(): void {
    const ending = this.current;
    this.current = undefined;
    ending?.end();
    ending?.stream.destroy();
    this.line.resume();
  }

  private receive(chunk: Buffer): void {
    for (const part of this.scanner.push(chunk)) {
      if (part.kind === 'preamble') this.begin(Buffer.from(part.nonce));
      else this.current?.stream.deliver(part.bytes);
    }
  }

  private begin(nonce: Buffer): void {
    // The host repeats its preamble until the echo comes: a copy that arrives before any TLS is no new session.
    const repeated = this.current?.stream.isUntouched && this.current.nonce.equals(nonce);
    if (!repeated) this.endSession();
    this.line.write(echo(nonce));
    if (repeated) return;
    const stream = new SessionStream(this.line);
    this.current = { nonce, stream, end: this.start(stream) };
  }
}

/** One session's share of the line. Destroying it leaves the line as it is. */
class SessionStream extends Duplex {
  private readonly line: Duplex;
  private received = false;

  constructor(line: Duplex) {
    super({ writableHighWaterMark: 1024 * 1024 });
    this.line = line;
  }

  get isUntouched(): boolean {
    return !this.received;
  }

  deliver(bytes: Buffer): void {
    this.received = true;
    if (!this.push(bytes)) this.line.pause();
  }

  override _read(): void {
    this.line.resume();
  }

  /** Piece by piece: gathering the pieces of TLS costs more than the calls it saves (a third of the agent's time under Bun). */
  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.line.write(chunk)) done();
    else this.line.once('drain', done);
  }
}
