/**
 * The host's side of the resync (`protocol/resync.ts`).
 *
 * After it, TLS reads the socket by itself, natively, so nothing of the resync may be left in the stream. When
 * the preamble had to be repeated, echoes of it may still be on the way; then one preamble with a fresh nonce
 * is sent once: the stream keeps its order, so behind the echo of that one nothing can follow.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { EchoFinder, NONCE_BYTES, preamble } from '../../protocol/index.ts';
import { type Deadlines, type Settle, step } from './deadline.ts';
import { ChannelError } from './error.ts';

/** Brings both sides to the beginning of a session. Leaves the socket paused. Throws ChannelError. */
export function resync(socket: Socket, deadlines: Deadlines, signal?: AbortSignal): Promise<void> {
  return step<void>(deadlines.resync, signal, noAgent, (settle) => {
    const seeker = new EchoSeeker(socket, deadlines.resyncRepeat, settle);
    return () => seeker.stop();
  });
}

class EchoSeeker {
  private readonly socket: Socket;
  private readonly repeat: number;
  private readonly settle: Settle<void>;
  private finder: EchoFinder;
  private sent = 0;
  private nonce: Buffer;
  private timer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, repeat: number, settle: Settle<void>) {
    this.socket = socket;
    this.repeat = repeat;
    this.settle = settle;
    this.nonce = randomBytes(NONCE_BYTES);
    this.finder = new EchoFinder(this.nonce);
    socket.on('data', this.onData).on('error', this.onError).on('close', this.onClose);
    this.sendUntilEchoed();
  }

  stop(): void {
    clearInterval(this.timer);
    this.socket.off('data', this.onData).off('error', this.onError).off('close', this.onClose);
    this.socket.pause();
  }

  private sendUntilEchoed(): void {
    this.send();
    this.timer = setInterval(() => this.send(), this.repeat);
  }

  /** A ring that is full takes no more preambles, and needs none: what waits in it will do. */
  private send(): void {
    if (this.socket.writableNeedDrain) return;
    this.socket.write(preamble(this.nonce));
    this.sent++;
  }

  private readonly onData = (chunk: Buffer): void => {
    try {
      const rest = this.finder.push(chunk);
      if (!this.finder.found) return;
      clearInterval(this.timer);
      if (this.sent === 1) this.finish(rest);
      else this.sendLast(rest);
    } catch (cause) {
      this.settle.reject(new ChannelError('no-agent', (cause as Error).message, { cause }));
    }
  };

  private finish(rest: Buffer): void {
    this.settle.resolve();
    if (rest.length > 0) this.socket.unshift(rest);
  }

  /** The agent is there but may still echo repetitions: one more nonce, sent once. Begins again should it be lost. */
  private sendLast(rest: Buffer): void {
    this.nonce = randomBytes(NONCE_BYTES);
    this.finder = new EchoFinder(this.nonce);
    this.sent = 0;
    this.send();
    this.timer = setInterval(() => this.send(), this.repeat * 10);
    if (rest.length > 0) this.onData(rest);
  }

  private readonly onError = (cause: Error): void => {
    this.settle.reject(lostBeforeEcho(cause));
  };

  private readonly onClose = (): void => {
    this.settle.reject(lostBeforeEcho());
  };
}

const noAgent = () =>
  new ChannelError(
    'no-agent',
    'nobody answers on the channel: see that lazaret-agent runs in the guest and has the port open',
  );

const lostBeforeEcho = (cause?: Error) =>
  new ChannelError(
    'no-agent',
    'the channel was closed before the agent answered: another host process may hold the port',
    { cause },
  );
