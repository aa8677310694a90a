/** Takes the service's measurements: what happened is counted, how things stand is asked for when somebody reads. */
import type { Logger } from '../api/index.ts';
import type { ClosedAction } from '../control/execute.ts';
import { describeError } from '../error.ts';
import type { OutboxStatus } from '../events/outbox/outbox.ts';
import type { HostServices } from '../services.ts';
import type { Guests } from './guests.ts';
import { Metrics } from './metrics.ts';
import type { ScanJob } from './scan-job.ts';
import type { ScanJobs } from './scan-jobs.ts';

export interface MeterParts {
  readonly engine: Pick<HostServices, 'records' | 'packs' | 'spooled' | 'refusedByVault' | 'settings'>;
  readonly guests: Pick<Guests, 'list'>;
  readonly jobs: Pick<ScanJobs, 'list'>;
  readonly events: () => OutboxStatus | undefined;
  readonly logger: Logger;
}

const OUTCOMES = { finished: 'completed', cancelled: 'cancelled', failed: 'failed' } as const;
const NO_EVENTS: OutboxStatus = { events: 0, bytes: 0, limit: 0, rejected: 0, sinks: [] };

export class Meter {
  readonly metrics: Metrics;
  private readonly parts: MeterParts;
  /** Metrics whose failing was said. */
  private readonly failing = new Set<string>();

  constructor(parts: MeterParts) {
    const { engine, jobs, events } = parts;
    this.parts = parts;
    this.metrics = new Metrics({
      sources: {
        vms: () => this.vms(),
        runningScans: () => jobs.list().filter(({ state }) => state === 'running').length,
        quarantine: () => ({ ...engine.records.vault.held(), refused: engine.refusedByVault() }),
        events: () => events() ?? NO_EVENTS,
        spool: () => ({ bytes: engine.spooled(), limit: engine.settings.current.spool.bytes }),
        packs: () =>
          engine.packs.list().map(({ vendor, id, active, changedAt }) => ({
            ...{ vendor, id, createdAt: changedAt },
            expiresAt: Date.parse(active.expires),
          })),
      },
      failed: (metric, error) => this.failed(metric, error),
    });
  }

  scanEnded(job: ScanJob): void {
    const { startedAt, finishedAt, trigger, state, summary } = job.view();
    if (state === 'queued' || state === 'running') return;
    const durationMs = startedAt === undefined || finishedAt === undefined ? 0 : finishedAt - startedAt;
    this.metrics.scanEnded({ outcome: OUTCOMES[state], trigger, durationMs, summary });
  }

  actionDone({ instruction, outcome }: ClosedAction): void {
    this.metrics.actionDone(instruction.name, outcome.code);
  }

  /** `route`: such as `GET /v1/vms/:vm`. */
  answered(route: string, status: number, durationMs: number): void {
    const [method = 'none', path = 'none'] = route.split(' ');
    this.metrics.requestAnswered({ method, route: path, status, durationMs });
  }

  /** Once for each: it is asked for every few seconds. */
  private failed(metric: string, error: unknown): void {
    if (this.failing.has(metric)) return;
    this.failing.add(metric);
    const { code, message } = describeError(error);
    this.parts.logger.warn(`the metric ${metric} cannot be told: ${message}`, { code });
  }

  private *vms() {
    for (const { domain, connection } of this.parts.guests.list()) {
      const last = this.parts.engine.records.scans.lastOf(domain.id);
      yield { name: domain.name, state: connection.state, lastScanAt: last?.finishedAt };
    }
  }
}
