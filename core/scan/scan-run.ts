import { randomUUID } from 'node:crypto';
import { inject, injectable } from 'tsyringe';
import { GuestPath } from '../../protocol/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import { cancelled } from '../channel/deadline.ts';
import { type LiveSettings, type Policy, settingsFor } from '../config/index.ts';
import type { ActionExecutor } from '../control/execute.ts';
import { NeverTouch } from '../control/never-touch.ts';
import { describeError, isUnwritten, ScanError } from '../error.ts';
import { type ScanOutcome, scanEnded, scanStarted } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { Packs } from '../pack/packs.ts';
import type { HeldDetectors, PluginRegistry } from '../plugin/registry.ts';
import type { FindingStore } from '../store/findings.ts';
import type { ScanRecord, ScanSummary } from '../store/records.ts';
import type { BegunScan, EndedScan, ScanStore } from '../store/scans.ts';
import { TOKENS } from '../tokens.ts';
import { typesOf } from './file-systems.ts';
import type { InventoryPolicy } from './inventory.ts';
import type { Known } from './known.ts';
import { Pace } from './pace.ts';
import { PacedSession } from './paced-session.ts';
import { isPartial, type LeftOut, type ScanHooks, type ScanReport, type ScanRequest } from './report.ts';
import { type OnAnswered, Responder } from './responder.ts';
import { GuestScan } from './scan.ts';
import type { Spool } from './spool.ts';
import { Tally } from './tally.ts';

/** Scans the guest of one session, and keeps the records of it. */
@injectable()
export class ScanRun {
  constructor(
    @inject(TOKENS.guest) private readonly guest: ConnectedGuest,
    @inject(TOKENS.settings) private readonly settings: LiveSettings,
    @inject(TOKENS.plugins) private readonly plugins: PluginRegistry,
    @inject(TOKENS.spool) private readonly spool: Spool,
    @inject(TOKENS.executor) private readonly executor: ActionExecutor,
    @inject(TOKENS.scans) private readonly scans: ScanStore,
    @inject(TOKENS.findings) private readonly findings: FindingStore,
    @inject(TOKENS.events) private readonly events: EventSink,
    @inject(TOKENS.clock) private readonly clock: () => number,
    @inject(TOKENS.packs) private readonly packs: Pick<Packs, 'problems'>,
    @inject(TOKENS.known) private readonly known: Known,
    @inject(TOKENS.onAnswered) private readonly onAnswered: OnAnswered,
  ) {}

  /** Rejects with ChannelError, ScanError or StoreError; what was found until then is kept. */
  async run(request: ScanRequest, hooks: ScanHooks): Promise<ScanReport> {
    this.checkPossible();
    const { onProgress = () => undefined, signal, pace = new Pace() } = hooks;
    const guest = { ...this.guest, session: new PacedSession(this.guest.session, pace) };
    const { vm } = this.guest;
    const { id = randomUUID(), trigger = 'manual', mode, dryRun } = request;
    const { policy } = settingsFor(this.settings.current, this.guest.domain);
    const startedAt = this.clock();
    const partial = isPartial(request.roots) && ({ partial: true } as const);
    const scan = this.begin({ id, vm: vm.id, mode, dryRun, trigger, startedAt, ...partial });
    const tally = new Tally();
    const responder = this.responder(guest, request, policy);
    using spool = this.spool.share();
    using held = this.plugins.acquire();
    const parts = {
      detectors: held.detectors.map(({ id: name, instance }) => ({ id: name, detector: instance })),
      responder,
      spool,
      tally,
      known: this.known,
      circumstances: { vm: vm.id, scan: id, at: startedAt },
      onProgress,
      pace,
    };
    const bounds = {
      inventory: inventoryOf(policy, request.roots),
      maxFileBytes: policy.maxFileBytes,
      fresh: request.fresh,
    };
    const end = (outcome: ScanOutcome, error?: unknown) =>
      this.end(
        scan,
        { summary: { ...tally.summary(), ...this.findings.countOf(scan.id) }, leftOut: tally.leftOut },
        outcome,
        error,
      );
    try {
      await this.events.emit(scanStarted(scan, vm));
      // A session may be old by now: what is mounted, and what time it is there.
      const features = await guest.session.queryFeatures(signal);
      await new GuestScan({ ...guest, features }, parts, bounds).run(signal);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await end(signal.aborted ? { kind: 'cancelled' } : { kind: 'failed', reason }, error);
      throw signal.aborted ? cancelled(signal) : error;
    }
    onProgress(tally.snapshot('finished'));
    const { ended, unwritten } = await end({ kind: 'completed' });
    const problems = [...problemsOf(held), ...(await this.packProblems()), ...notRecorded(unwritten)];
    return this.report(ended, tally, responder, problems);
  }

  private checkPossible(): void {
    if (!this.plugins.detectors.some(({ requires }) => requires.includes('query:content'))) {
      throw new ScanError(
        'no-detectors',
        'no detector that looks into files is in use: give one rules or hash lists',
      );
    }
    for (const needed of ['query:files', 'query:content'] as const) {
      if (this.guest.instructionSet.instructions.includes(needed)) continue;
      throw new ScanError(
        'not-permitted',
        `this guest cannot be scanned: its instruction set does not have ${needed}`,
      );
    }
  }

  /** Which inodes are protected is learnt anew by each scan: they are given to other files in time. */
  private responder(guest: ConnectedGuest, { mode, dryRun }: ScanRequest, policy: Policy): Responder {
    const { executor, findings, events, plugins, onAnswered } = this;
    const remediations = plugins.remediations.map(({ id, instance }) => ({ id, remediation: instance }));
    const neverTouch = new NeverTouch(policy.neverTouch.map((path) => GuestPath.of(path)));
    const { deleteWhenNotContainable } = policy;
    const knownNeeds = this.known.needs.of(guest.vm.id);
    const parts = { remediations, executor, neverTouch, knownNeeds, findings, events, onAnswered };
    return new Responder(guest, parts, { mode, dryRun, deleteWhenNotContainable });
  }

  /** A disk that takes no writes keeps no guest from being looked at: the record is kept at the end, if it can be then. */
  private begin(begun: BegunScan): ScanRecord {
    try {
      return this.scans.begin(begun);
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      return { ...begun, state: 'running' };
    }
  }

  private finish(scan: ScanRecord, end: EndedScan): { ended: ScanRecord; unwritten?: string } {
    try {
      if (this.scans.find(scan.id) === undefined) this.scans.begin(scan);
      return { ended: this.scans.finish(scan.id, end) };
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      return { ended: { ...scan, ...end }, unwritten: error.message };
    }
  }

  private async end(
    scan: ScanRecord,
    { summary, leftOut }: { readonly summary: ScanSummary; readonly leftOut: readonly LeftOut[] },
    outcome: ScanOutcome,
    cause?: unknown,
  ): Promise<{ ended: ScanRecord; unwritten?: string }> {
    const state = outcome.kind === 'completed' ? 'finished' : outcome.kind;
    const error = cause === undefined ? undefined : describeError(cause);
    const finishedAt = this.clock();
    const finished = this.finish(scan, { state, finishedAt, summary, ...(error && { error }) });
    await this.events.emit(scanEnded(finished.ended, this.guest.vm, outcome, leftOut));
    return finished;
  }

  /** Of packs that are expired or damaged. */
  private async packProblems(): Promise<ScanReport['problems']> {
    return (await this.packs.problems()).map((problem) => ({ ...problem, detector: 'packs' }));
  }

  private report(
    scan: ScanRecord,
    { unscanned, leftOut, followedRoots }: Tally,
    { named: { findings, plan } }: Responder,
    problems: ScanReport['problems'],
  ): ScanReport {
    const { vm } = this.guest;
    const followed = followedRoots.length > 0 && { followed: followedRoots };
    return { vm, scan, findings, ...followed, unscanned, leftOut, problems, plan };
  }
}

/** What a scan that is not in the database says itself. */
const notRecorded = (why: string | undefined): ScanReport['problems'] =>
  why === undefined
    ? []
    : [{ detector: 'records', file: 'lazaret.db', message: `this scan is not on record: ${why}` }];

function inventoryOf(policy: Policy, roots: readonly GuestPath[]): InventoryPolicy {
  const { excludes, oneFileSystem, fileSystems, inventory } = policy;
  const { maxEntries, maxDepth, maxTime } = inventory;
  return {
    roots,
    excludes: excludes.map((path) => GuestPath.of(path)),
    oneFileSystem,
    fileSystems: typesOf(fileSystems),
    maxEntries,
    maxDepth,
    maxSeconds: Math.ceil(maxTime / 1000),
  };
}

const problemsOf = ({ detectors, refused }: HeldDetectors): ScanReport['problems'] => [
  ...refused.map((problem) => ({ ...problem, detector: 'plugins' })),
  ...detectors.flatMap(({ id: detector, instance }) =>
    instance.problems.map((problem) => ({ ...problem, detector })),
  ),
];
