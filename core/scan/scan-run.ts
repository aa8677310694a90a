import { randomUUID } from 'node:crypto';
import { inject, injectable } from 'tsyringe';
import { GuestPath } from '../../protocol/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import { cancelled } from '../channel/deadline.ts';
import { type LiveSettings, type Policy, settingsFor } from '../config/index.ts';
import type { ActionExecutor } from '../control/execute.ts';
import { NeverTouch } from '../control/never-touch.ts';
import { describeError, ScanError } from '../error.ts';
import { type ScanOutcome, scanEnded, scanStarted } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { Packs } from '../pack/packs.ts';
import type { HeldDetectors, PluginRegistry } from '../plugin/registry.ts';
import type { FindingStore } from '../store/findings.ts';
import type { ScanRecord, ScanSummary } from '../store/records.ts';
import type { ScanStore } from '../store/scans.ts';
import { TOKENS } from '../tokens.ts';
import { typesOf } from './file-systems.ts';
import type { InventoryPolicy } from './inventory.ts';
import type { Known } from './known.ts';
import type { LeftOut, ScanHooks, ScanReport, ScanRequest } from './report.ts';
import { Responder } from './responder.ts';
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
  ) {}

  /** Rejects with ChannelError, ScanError or StoreError; what was found until then is kept. */
  async run(request: ScanRequest, { onProgress = () => undefined, signal }: ScanHooks): Promise<ScanReport> {
    this.checkPossible();
    const { vm } = this.guest;
    const { id = randomUUID(), trigger = 'manual', mode, dryRun } = request;
    const { policy } = settingsFor(this.settings.current, this.guest.domain);
    const startedAt = this.clock();
    const partial = isPartial(request) && ({ partial: true } as const);
    const scan = this.scans.begin({ id, vm: vm.id, mode, dryRun, trigger, startedAt, ...partial });
    const tally = new Tally();
    const responder = this.responder(request, policy);
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
    };
    const bounds = {
      inventory: inventoryOf(policy, request.roots),
      maxFileBytes: policy.maxFileBytes,
      fresh: request.fresh,
    };
    const end = (outcome: ScanOutcome, error?: unknown) =>
      this.end(scan, { summary: summaryOf(tally, responder), leftOut: tally.leftOut }, outcome, error);
    try {
      await this.events.emit(scanStarted(scan, vm));
      // A session may be old by now: what is mounted, and what time it is there.
      const features = await this.guest.session.queryFeatures(signal);
      await new GuestScan({ ...this.guest, features }, parts, bounds).run(signal);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await end(signal.aborted ? { kind: 'cancelled' } : { kind: 'failed', reason }, error);
      throw signal.aborted ? cancelled(signal) : error;
    }
    onProgress(tally.snapshot('finished'));
    const ended = await end({ kind: 'completed' });
    const problems = [...problemsOf(held), ...(await this.packProblems())];
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
  private responder({ mode, dryRun }: ScanRequest, policy: Policy): Responder {
    const { executor, findings, events, guest, plugins } = this;
    const remediations = plugins.remediations.map(({ id, instance }) => ({ id, remediation: instance }));
    const neverTouch = new NeverTouch(policy.neverTouch.map((path) => GuestPath.of(path)));
    const { deleteWhenNotContainable } = policy;
    const { roots: _, ...inventory } = inventoryOf(policy, []);
    const parts = { remediations, executor, neverTouch, findings, events };
    return new Responder(guest, parts, { mode, dryRun, deleteWhenNotContainable, inventory });
  }

  private async end(
    scan: ScanRecord,
    { summary, leftOut }: { readonly summary: ScanSummary; readonly leftOut: readonly LeftOut[] },
    outcome: ScanOutcome,
    cause?: unknown,
  ): Promise<ScanRecord> {
    const state = outcome.kind === 'completed' ? 'finished' : outcome.kind;
    const error = cause === undefined ? undefined : describeError(cause);
    const ended = this.scans.finish(scan.id, {
      state,
      finishedAt: this.clock(),
      summary,
      ...(error && { error }),
    });
    await this.events.emit(scanEnded(ended, this.guest.vm, outcome, leftOut));
    return ended;
  }

  /** Of packs that are expired or damaged. */
  private async packProblems(): Promise<ScanReport['problems']> {
    return (await this.packs.problems()).map((problem) => ({ ...problem, detector: 'packs' }));
  }

  private report(
    scan: ScanRecord,
    { unscanned, leftOut }: Tally,
    { findings, steps, withheld }: Responder,
    problems: ScanReport['problems'],
  ): ScanReport {
    const { vm } = this.guest;
    const plan = { steps, withheld };
    return { vm, scan, findings: [...findings.values()], unscanned, leftOut, problems, plan };
  }
}

const isPartial = ({ roots }: ScanRequest): boolean => !roots.some((root) => root.equals(GuestPath.of('/')));

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

/** A subject that was met twice, or is gone by now, is one finding. */
function summaryOf(tally: Tally, { findings }: Responder): ScanSummary {
  const judgements = Array.from(findings.values(), ({ judgement }) => judgement);
  const malicious = judgements.filter((judgement) => judgement === 'malicious').length;
  return { ...tally.summary(), malicious, suspicious: judgements.length - malicious };
}
