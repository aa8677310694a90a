/**
 * Serves the API in a thread of its own: the service's own is as busy as its scans are, and whoever asks waits for
 * none of them. A thread that dies is started again.
 */
import { once } from 'node:events';
import { extname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Logger } from '../../api/index.ts';
import { describeError } from '../../error.ts';
import type { LeftOutRow } from '../../store/left-out.ts';
import { ApiError, DaemonError } from '../error.ts';
import type { Operations } from '../operations.ts';
import type { ScanView } from '../views.ts';
import type { Asked, Method, ThreadData, Told } from './messages.ts';

const THREAD = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url);
const AGAIN_AFTER_MS = 1_000;
/** Longer than the API itself gives those who still wait for an answer. */
const CLOSE_MS = 15_000;
/** Answers live for a moment, and a little at a time is what the thread is for. */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 };

export interface ServedOperations extends Operations {
  /** Scans that wait, run, or ended not long ago. */
  liveScans(): Promise<readonly ScanView[]>;
}

export interface ServeApiParts {
  readonly operations: ServedOperations;
  readonly data: ThreadData;
  readonly logger: Logger;
  readonly onAnswer: (route: string, status: number, milliseconds: number) => void;
  /** Told of each row that the thread could not read. */
  readonly onLeftOut: (row: LeftOutRow) => void;
}

export interface ServedApi extends AsyncDisposable {
  /** Something is not as it was told before: whoever asks is told anew. */
  changed(): void;
}

/** Rejects as `startApi` does. What it gives closes the API. */
export async function serveApi(parts: ServeApiParts): Promise<ServedApi> {
  const thread = await Thread.start(parts);
  return new KeptThread(parts, thread);
}

class KeptThread implements ServedApi {
  private readonly parts: ServeApiParts;
  private current: Thread;
  private closed = false;

  constructor(parts: ServeApiParts, thread: Thread) {
    this.parts = parts;
    this.current = thread;
    void this.keep();
  }

  changed(): void {
    this.current.changed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    await this.current.close();
  }

  private async keep(): Promise<void> {
    for (;;) {
      const reason = await this.current.over;
      if (this.closed) return;
      this.parts.logger.warn(`the API broke off, and is started again: ${reason}`);
      await this.startAgain();
    }
  }

  private async startAgain(): Promise<void> {
    while (!this.closed) {
      await pause(AGAIN_AFTER_MS);
      try {
        this.current = await Thread.start(this.parts);
        if (this.closed) await this.current.close();
        return;
      } catch (error) {
        this.parts.logger.warn(`the API cannot be started: ${describeError(error).message}`);
      }
    }
  }
}

class Thread {
  /** Resolves when it has ended, with why. */
  readonly over: Promise<string>;
  private readonly worker: Worker;
  private readonly parts: ServeApiParts;
  private readonly following = new Map<number, AbortController>();
  private readonly started = Promise.withResolvers<void>();

  private constructor(parts: ServeApiParts) {
    this.parts = parts;
    // Nothing of the service's environment is its business.
    this.worker = new Worker(THREAD, { workerData: parts.data, env: {}, resourceLimits: LIMITS });
    let why = 'it ended by itself';
    this.worker.on('error', (error) => {
      why = describeError(error).message;
    });
    this.over = once(this.worker, 'exit').then(() => why);
    this.worker.on('message', (message: Asked) => this.hear(message));
    void this.over.then((reason) => {
      for (const follower of this.following.values()) follower.abort();
      this.started.reject(new ApiError('cannot-listen', `the API did not start: ${reason}`));
    });
  }

  static async start(parts: ServeApiParts): Promise<Thread> {
    const thread = new Thread(parts);
    await thread.started.promise;
    return thread;
  }

  changed(): void {
    this.tell({ type: 'changed' });
  }

  async close(): Promise<void> {
    this.tell({ type: 'close' });
    const late = setTimeout(() => void this.worker.terminate(), CLOSE_MS);
    await this.over;
    clearTimeout(late);
  }

  private hear(message: Asked): void {
    const { logger, onAnswer, onLeftOut } = this.parts;
    switch (message.type) {
      case 'call':
        void this.answer(message.id, message.method, message.args);
        return;
      case 'follow':
        void this.follow(message.id, message.scan);
        return;
      case 'unfollow':
        this.following.get(message.id)?.abort();
        return;
      case 'log':
        logger[message.level](message.message, message.facts as Readonly<Record<string, unknown>>);
        return;
      case 'answered':
        onAnswer(message.route, message.status, message.milliseconds);
        return;
      case 'left-out':
        onLeftOut(message.row);
        return;
      case 'ready':
        for (const address of message.addresses) logger.info(`the API is served on ${address}`);
        this.started.resolve();
        return;
      case 'not-started':
        this.started.reject(new DaemonError(message.failure.code, message.failure.message));
    }
  }

  private async answer(id: number, method: Method, args: readonly unknown[]): Promise<void> {
    try {
      const { operations } = this.parts;
      const ask = operations[method] as (...given: unknown[]) => Promise<unknown>;
      this.tell({ type: 'value', id, value: await ask.apply(operations, [...args]) });
    } catch (error) {
      this.tell({ type: 'failure', id, failure: describeError(error) });
    }
  }

  private async follow(id: number, scan: string): Promise<void> {
    const stop = new AbortController();
    this.following.set(id, stop);
    try {
      for await (const event of this.parts.operations.followScan(scan, stop.signal)) {
        this.tell({ type: 'event', id, event });
      }
    } catch (error) {
      this.parts.logger.warn(`a scan cannot be followed any more: ${describeError(error).message}`);
    } finally {
      this.following.delete(id);
    }
  }

  private tell(message: Told): void {
    this.worker.postMessage(message);
  }
}
