/**
 * A third-party detector behind the same interface as any other: its code runs in a child process (sandbox.ts)
 * that is believed nothing (session.ts). One that dies, hangs or misbehaves is killed; the subjects that were
 * open are `engine-failed`, never clean; it is started again with the next call, after a pause when it fails
 * again and again (restarts.ts).
 *
 * A child cannot be asked `answerKey` for every file of a guest: what its answers depend on is its engine as a
 * whole, and that is its package with all dependencies, its options, the pack files that it was given and what
 * it says of its signatures.
 */
import { createHash, randomUUID } from 'node:crypto';
import type {
  Answer,
  Detector,
  DigestName,
  EngineIdentity,
  Logger,
  Prospect,
  SignatureFile,
  SignatureProblem,
  Subject,
} from '../api/index.ts';
import type { Excess } from './call.ts';
import { HandOver } from './hand-over.ts';
import type { FoundPackage } from './manifest.ts';
import type { Ready } from './messages.ts';
import { type RestartLimits, Restarts } from './restarts.ts';
import { type OpenedSession, PluginSession, pluginFailure, type SessionLimits } from './session.ts';
import { covers } from './wants.ts';

/** Bounds on a third-party plugin. */
export interface IsolationLimits extends SessionLimits, RestartLimits {}

export const LIMITS: IsolationLimits = {
  startMs: 20_000,
  fileMs: 30_000,
  batchMs: 300_000,
  memoryBytes: 512 * 1024 * 1024,
  failures: 3,
  pauseMs: 1_000,
};
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

export class IsolatedDetector implements Detector {
  engine: EngineIdentity;
  problems: readonly SignatureProblem[] = [];
  digests: readonly DigestName[] = [];
  reads: 'content' | 'digests' = 'content';
  concurrency = 1;
  private readonly isolation: Isolation;
  private readonly handOver: HandOver;
  private readonly restarts: Restarts;
  /** What it said beyond its bounds so far. */
  readonly excess: Excess = { unasked: 0, cut: 0 };
  private running: Promise<PluginSession> | undefined;
  /** What the plugin said of its engine when it was ready for the first time. */
  private said: string | undefined;
  private readonly closing = new AbortController();

  private constructor(isolation: Isolation) {
    this.isolation = isolation;
    this.handOver = new HandOver(isolation.places);
    this.restarts = new Restarts(isolation.limits);
    // Until it has said what its answers depend on, none is worth keeping for another run.
    this.engine = this.identity(randomUUID(), 1);
  }

  /** A plugin that does not start is there all the same: what it wanted is then unscanned, and its problems say so. */
  static async open(isolation: Isolation): Promise<IsolatedDetector> {
    const detector = new IsolatedDetector(isolation);
    try {
      const { ready } = await detector.launch();
      detector.engine = detector.identity(ready.engine.signatures, ready.engine.signatureCount);
      detector.digests = ready.digests ?? [];
      detector.reads = ready.reads ?? 'content';
      detector.concurrency = Math.min(ready.concurrency, MAX_CONCURRENCY);
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
    const session = await (this.running ?? this.start());
    if (signal.aborted) return;
    using handed = this.handOver.give(subjects);
    yield* handed.unscanned;
    const { call, cancel } = session.ask(handed.subjects);
    signal.addEventListener('abort', cancel, { once: true });
    try {
      yield* call.answers();
      if (!signal.aborted) this.restarts.succeeded();
    } finally {
      signal.removeEventListener('abort', cancel);
      // The consumer may have left early.
      cancel();
    }
  }

  async close(): Promise<void> {
    const isFirst = !this.closing.signal.aborted;
    this.closing.abort();
    const session = await this.running?.catch(() => undefined);
    await session?.end('the host closes it');
    this.handOver[Symbol.dispose]();
    const { unasked, cut } = this.excess;
    if (!isFirst || unasked + cut === 0) return;
    this.isolation.logger.warn('a plugin said more than it may', { ...this.about, unasked, cut });
  }

  /** A new process. Rejects with PluginError, at once while the plugin is left alone. */
  private async start(): Promise<PluginSession> {
    const obstacle = this.closing.signal.aborted ? 'it was closed' : this.restarts.obstacle;
    if (obstacle !== undefined) throw pluginFailure(this.isolation.found, obstacle);
    return (await this.launch()).session;
  }

  private launch(): Promise<OpenedSession> {
    const opening = this.openSession();
    const running = opening.then(({ session }) => session);
    this.running = running;
    // The caller is told why; the next one tries again.
    running.catch(() => {
      if (this.running === running) this.running = undefined;
    });
    return opening;
  }

  private async openSession(): Promise<OpenedSession> {
    const opened = await PluginSession.open({
      ...this.isolation,
      places: this.handOver.directories,
      excess: this.excess,
      closing: this.closing.signal,
      onEnd: (reason) => this.fell(reason),
    });
    try {
      this.adopt(opened.ready);
      return opened;
    } catch (error) {
      await opened.session.end((error as Error).message);
      throw error;
    }
  }

  /** Throws PluginError when the plugin is another than it was: answers of both would count as answers of one. */
  private adopt({ engine, problems }: Ready): void {
    const said = JSON.stringify(engine);
    if (this.said !== undefined && said !== this.said) {
      throw pluginFailure(this.isolation.found, 'its engine is another one than before: start lazaret again');
    }
    this.said = said;
    this.problems = problems.map(({ file, line, message }) =>
      line === undefined ? { file, message } : { file, line, message },
    );
  }

  /** The process is gone. */
  private fell(reason: string): void {
    this.running = undefined;
    if (this.closing.signal.aborted) return;
    const failures = this.restarts.failed(reason);
    const facts = { ...this.about, reason, failures };
    this.isolation.logger.warn('a plugin failed and is started again when it is needed', facts);
  }

  private get about() {
    return { plugin: this.isolation.found.manifest.id };
  }

  private identity(said: string, signatureCount: number): EngineIdentity {
    const { found, options, signatures } = this.isolation;
    const files = signatures.map(({ pack, version, name }) => [pack, version, name]);
    const all = JSON.stringify([found.digest, options, files, said]);
    const digest = createHash('sha256').update(all).digest('hex');
    return { name: found.manifest.id, version: found.version, signatures: digest, signatureCount };
  }
}
