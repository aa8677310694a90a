/**
 * A third-party detector behind the same interface as any other: its code runs in a child process (sandbox.ts)
 * that is believed nothing (messages.ts). One that dies, hangs or misbehaves is killed; the subjects that were
 * open are `engine-failed`, never clean; it is started again with the next call, after a pause when it fails
 * again and again.
 */
import {
  type Answer,
  type Detector,
  type DigestName,
  type EngineIdentity,
  type Logger,
  PluginError,
  type Prospect,
  type SignatureFile,
  type SignatureProblem,
  type Subject,
} from '../api/index.ts';
import { Call, type Excess } from './call.ts';
import { PluginChild } from './child.ts';
import { HandOver } from './hand-over.ts';
import type { FoundPackage } from './manifest.ts';
import type { FromChild, Ready } from './messages.ts';
import { startChild } from './sandbox.ts';
import { covers } from './wants.ts';

/** Bounds on a third-party plugin. */
export interface IsolationLimits {
  readonly startMs: number;
  /** Without an answer. */
  readonly fileMs: number;
  readonly batchMs: number;
  readonly memoryBytes: number;
  /** Failures in a row after which it is left alone for `pauseMs`, twice as long each time. */
  readonly failures: number;
  readonly pauseMs: number;
}

export const LIMITS: IsolationLimits = {
  startMs: 20_000,
  fileMs: 30_000,
  batchMs: 300_000,
  memoryBytes: 512 * 1024 * 1024,
  failures: 3,
  pauseMs: 1_000,
};
const LONGEST_PAUSE_MS = 60_000;
/** What nobody asked for, after which a child is ended. */
const MAX_UNASKED = 1_000;
const MAX_CONCURRENCY = 4;

export interface Isolation {
  readonly found: FoundPackage;
  readonly options: unknown;
  readonly signatures: readonly SignatureFile[];
  /** Where contents lie: directories for handing over are made in them. */
  readonly places: readonly string[];
  readonly logger: Logger;
  readonly limits: IsolationLimits;
}

interface Running {
  readonly child: PluginChild;
  readonly ready: Ready;
}

export class IsolatedDetector implements Detector {
  engine: EngineIdentity;
  problems: readonly SignatureProblem[] = [];
  digests: readonly DigestName[] = [];
  reads: 'content' | 'digests' = 'content';
  readonly concurrency = MAX_CONCURRENCY;
  private readonly isolation: Isolation;
  private readonly handOver: HandOver;
  private readonly calls = new Map<number, Call>();
  private readonly excess: Excess = { unasked: 0, cut: 0 };
  private serial = 0;
  /** Answers that nobody asked the running process for. */
  private stray = 0;
  private running: Promise<Running> | undefined;
  private current: PluginChild | undefined;
  private onReady: (message: FromChild) => void = () => undefined;
  private failures = 0;
  private restsUntil = 0;
  private lastFailure = '';
  private closed = false;

  private constructor(isolation: Isolation) {
    this.isolation = isolation;
    this.handOver = new HandOver(isolation.places);
    this.engine = this.identity('not-started', 1);
  }

  /** A plugin that does not start is there all the same: what it wanted is then unscanned, and its problems say so. */
  static async open(isolation: Isolation): Promise<IsolatedDetector> {
    const detector = new IsolatedDetector(isolation);
    try {
      const { ready } = await detector.start();
      detector.engine = detector.identity(ready.engine.signatures, ready.engine.signatureCount);
      detector.problems = ready.problems.map(({ file, line, message }) =>
        line === undefined ? { file, message } : { file, line, message },
      );
      detector.digests = ready.digests ?? [];
      detector.reads = ready.reads ?? 'content';
    } catch (error) {
      detector.problems = [{ file: isolation.found.directory, message: (error as Error).message }];
    }
    return detector;
  }

  wants(prospect: Prospect): boolean {
    return covers(this.isolation.found.manifest.wants, prospect);
  }

  async *detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    if (subjects.length === 0 || signal.aborted) return;
    const { child } = await this.start();
    const given: { subject: Subject; takeBack(): void }[] = [];
    const number = ++this.serial;
    const { batchMs, fileMs } = this.isolation.limits;
    const late = (limit: number) => () => child.kill(`it did not answer within ${limit} ms`);
    const batch = setTimeout(late(batchMs), batchMs);
    let file = setTimeout(late(fileMs), fileMs);
    const cancel = () => {
      child.send({ type: 'abort', call: number });
      this.calls.get(number)?.end();
    };
    try {
      for (const subject of subjects) {
        try {
          given.push(this.handOver.give(subject));
        } catch (error) {
          yield { subject: subject.id, unscanned: 'io-error', detail: (error as Error).message };
        }
      }
      const call = new Call(
        given.map(({ subject }) => subject.id),
        this.excess,
      );
      this.calls.set(number, call);
      void child.ended.then((reason) => call.end(this.error(reason)));
      signal.addEventListener('abort', cancel, { once: true });
      child.send({ type: 'detect', call: number, subjects: given.map(({ subject }) => subject) });
      for await (const answer of call.answers()) {
        clearTimeout(file);
        yield answer;
        file = setTimeout(late(fileMs), fileMs);
      }
      if (!signal.aborted) this.failures = 0;
    } finally {
      clearTimeout(batch);
      clearTimeout(file);
      signal.removeEventListener('abort', cancel);
      // The consumer may have left early.
      if (this.calls.delete(number)) child.send({ type: 'abort', call: number });
      for (const { takeBack } of given) takeBack();
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    const child = this.current;
    child?.kill('the host closes it');
    await child?.ended;
    await this.running?.catch(() => undefined);
    this.handOver[Symbol.dispose]();
    const { unasked, cut } = this.excess;
    if (unasked + cut === 0) return;
    this.isolation.logger.warn('a plugin said more than it may', { ...this.about, unasked, cut });
    this.excess.unasked = this.excess.cut = 0;
  }

  private get about() {
    return { plugin: this.isolation.found.manifest.id };
  }

  private identity(signatures: string, signatureCount: number): EngineIdentity {
    const { manifest, version, digest } = this.isolation.found;
    return {
      name: manifest.id,
      version,
      signatures: `${digest}:${signatures}`,
      signatureCount,
    };
  }

  /** The process that runs, or a new one. Throws PluginError, at once while the plugin is left alone. */
  private start(): Promise<Running> {
    if (this.running) return this.running;
    const { limits } = this.isolation;
    if (this.closed) throw this.error('it was closed');
    if (this.failures >= limits.failures && performance.now() < this.restsUntil) {
      throw this.error(`it failed ${this.failures} times and is left alone for a while: ${this.lastFailure}`);
    }
    const running = this.launch();
    this.running = running;
    // It could not even be started.
    running.catch((error: Error) => {
      if (this.running === running) this.fell(error.message);
    });
    return running;
  }

  private async launch(): Promise<Running> {
    const { found, options, signatures, limits } = this.isolation;
    const { promise, resolve, reject } = Promise.withResolvers<Ready>();
    const process = startChild(found, {
      readable: [...this.handOver.directories, ...signatures.map(({ path }) => path)],
      memoryBytes: limits.memoryBytes,
    });
    const child = new PluginChild(process, limits.memoryBytes, (message) => this.hear(child, message));
    this.current = child;
    this.onReady = (message) => {
      if (message.type === 'ready') resolve(message);
      else
        child.kill(
          message.type === 'failed' ? message.message : 'it said something else than that it is ready',
        );
    };
    void child.ended.then((reason) => {
      this.fell(reason);
      reject(this.error(reason));
    });
    const timer = setTimeout(
      () => child.kill(`it did not start within ${limits.startMs} ms`),
      limits.startMs,
    );
    child.send({ type: 'setup', entry: found.entry, options, signatures });
    try {
      return { child, ready: await promise };
    } finally {
      clearTimeout(timer);
    }
  }

  private hear(child: PluginChild, message: FromChild): void {
    if (message.type === 'answer') this.hearAnswer(child, message.call, message.answer as Answer);
    else if (message.type !== 'done') this.onReady(message);
    else
      this.calls.get(message.call)?.end(message.error === undefined ? undefined : this.error(message.error));
  }

  private hearAnswer(child: PluginChild, number: number, answer: Answer): void {
    if (this.calls.get(number)?.take(answer)) return;
    this.excess.unasked += 1;
    this.stray += 1;
    if (this.stray <= MAX_UNASKED) return;
    child.kill('it floods the host with answers that nobody asked for');
  }

  /** The process is gone. */
  private fell(reason: string): void {
    this.running = undefined;
    this.stray = 0;
    if (this.closed) return;
    this.failures += 1;
    this.lastFailure = reason;
    const { failures, pauseMs } = this.isolation.limits;
    const doublings = Math.max(0, Math.min(this.failures - failures, 10));
    this.restsUntil = performance.now() + Math.min(pauseMs * 2 ** doublings, LONGEST_PAUSE_MS);
    this.isolation.logger.warn('a plugin failed and is started again when it is needed', {
      ...this.about,
      reason,
      failures: this.failures,
    });
  }

  private error(reason: string): PluginError {
    return new PluginError('engine-failed', `the plugin ${this.isolation.found.manifest.id}: ${reason}`);
  }
}
