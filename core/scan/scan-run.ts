import { randomUUID } from 'node:crypto';
import { inject, injectable } from 'tsyringe';
import { GuestPath } from '../../protocol/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import { cancelled } from '../channel/deadline.ts';
import type { Settings } from '../config/index.ts';
import type { ActionExecutor } from '../control/execute.ts';
import type { NeverTouch } from '../control/never-touch.ts';
import { ScanError } from '../error.ts';
import { type ScanOutcome, scanEnded, scanStarted } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import type { Packs } from '../pack/packs.ts';
import type { HeldDetectors, PluginRegistry } from '../plugin/registry.ts';
import type { FindingStore } from '../store/findings.ts';
import type { ScanRecord, ScanSummary } from '../store/records.ts';
import type { ScanStore } from '../store/scans.ts';
import { TOKENS } from '../tokens.ts';
import type { InventoryPolicy } from './inventory.ts';
import type { Known } from './known.ts';
import type { ScanHooks, ScanReport, ScanRequest } from './report.ts';
import { Responder } from './responder.ts';
import { GuestScan } from './scan.ts';
import type { Spool } from './spool.ts';
import { Tally } from './tally.ts';

/** Scans the guest of one session, and keeps the records of it. */
@injectable()
export class ScanRun {
  constructor(
    @inject(TOKENS.guest) private readonly guest: ConnectedGuest,
    @inject(TOKENS.neverTouch) private readonly neverTouch: NeverTouch,
    @inject(TOKENS.settings) private readonly settings: Settings,
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
    const id = randomUUID();
    const startedAt = this.clock();
    const scan = this.scans.begin({ id, vm: vm.id, mode: request.mode, startedAt });
    const tally = new Tally();
    const responder = this.responder(request);
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
    const policy = {
      inventory: this.inventory(request.roots),
      maxFileBytes: this.settings.policy.maxFileBytes,
      fresh: request.fresh,
    };
    const end = (outcome: ScanOutcome) => this.end(scan, summaryOf(tally, responder), outcome);
    try {
      await this.events.emit(scanStarted(scan, vm));
      await new GuestScan(this.guest, parts, policy).run(signal);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await end(signal.aborted ? { kind: 'cancelled' } : { kind: 'failed', reason });
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

  private responder({ mode, dryRun }: ScanRequest): Responder {
    const { executor, neverTouch, findings, events, guest, plugins, settings } = this;
    const remediations = plugins.remediations.map(({ id, instance }) => ({ id, remediation: instance }));
    const { deleteWhenNotContainable } = settings.policy;
    const { roots: _, ...inventory } = this.inventory([]);
    const policy = { mode, dryRun, deleteWhenNotContainable, inventory };
    return new Responder(guest, { remediations, executor, neverTouch, findings, events }, policy);
  }

  private inventory(roots: readonly GuestPath[]): InventoryPolicy {
    const { excludes, oneFileSystem, inventory } = this.settings.policy;
    const { maxEntries, maxDepth, maxTime } = inventory;
    const maxSeconds = Math.ceil(maxTime / 1000);
    return {
      roots,
      excludes: excludes.map((path) => GuestPath.of(path)),
      oneFileSystem,
      maxEntries,
      maxDepth,
      maxSeconds,
    };
  }

  private async end(scan: ScanRecord, summary: ScanSummary, outcome: ScanOutcome): Promise<ScanRecord> {
    const state = outcome.kind === 'completed' ? 'finished' : 'failed';
    const ended = this.scans.finish(scan.id, { state, finishedAt: this.clock(), summary });
    await this.events.emit(scanEnded(ended, this.guest.vm, outcome));
    return ended;
  }

  /** Of packs that are expired or damaged. */
  private async packProblems(): Promise<ScanReport['problems']> {
    return (await this.packs.problems()).map((problem) => ({ ...problem, detector: 'packs' }));
  }

  private report(
    scan: ScanRecord,
    { unscanned }: Tally,
    { findings, steps, withheld }: Responder,
    problems: ScanReport['problems'],
  ): ScanReport {
    const { vm } = this.guest;
    return { vm, scan, findings: [...findings.values()], unscanned, problems, plan: { steps, withheld } };
  }
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
