import { z } from 'zod';
import { StoreError } from '../error.ts';
import type { Row, StateDatabase } from './database.ts';
import { type Page, type PageQuery, readPage } from './page.ts';
import { SCAN_TRIGGERS, type ScanRecord, type ScanSummary } from './records.ts';
import { jsonColumn, readRow, timeColumn, toJsonOrNull } from './rows.ts';

const count = z.int().min(0);

const SummaryColumn = z.object({
  files: count,
  bytes: count,
  // Absent where an older release wrote it.
  unchanged: count.default(0),
  claimed: count.default(0),
  processes: count,
  malicious: count,
  suspicious: count,
  unscanned: z.record(z.string(), count),
});

const ScanRow = z.object({
  id: z.string(),
  vm: z.string(),
  mode: z.enum(['detect', 'contain', 'delete']),
  dryRun: z.int().transform(Boolean),
  trigger: z.enum(SCAN_TRIGGERS),
  partial: z
    .literal(1)
    .transform(() => true as const)
    .exactOptional(),
  startedAt: timeColumn,
  finishedAt: timeColumn.exactOptional(),
  state: z.enum(['running', 'finished', 'failed', 'cancelled']),
  summary: jsonColumn(SummaryColumn).exactOptional(),
  error: jsonColumn(z.object({ code: z.string(), message: z.string() })).exactOptional(),
});

const read = (row: Row): ScanRecord => readRow('scans', ScanRow, row);

export type BegunScan = Pick<
  ScanRecord,
  'id' | 'vm' | 'mode' | 'dryRun' | 'trigger' | 'partial' | 'startedAt'
>;

export interface EndedScan {
  readonly state: Exclude<ScanRecord['state'], 'running'>;
  readonly finishedAt: number;
  readonly summary?: ScanSummary;
  readonly error?: NonNullable<ScanRecord['error']>;
}

/** The scans that were begun. Every method throws StoreError. */
export class ScanStore {
  private readonly database: StateDatabase;

  constructor(database: StateDatabase) {
    this.database = database;
  }

  begin(scan: BegunScan): ScanRecord {
    this.database.run(
      `INSERT INTO scans (id, vm, mode, dryRun, trigger, partial, startedAt, state)
       VALUES (:id, :vm, :mode, :dryRun, :trigger, :partial, :startedAt, 'running')`,
      {
        ...{ id: scan.id, vm: scan.vm, mode: scan.mode, trigger: scan.trigger, startedAt: scan.startedAt },
        ...{ dryRun: Number(scan.dryRun), partial: scan.partial ? 1 : null },
      },
    );
    return { ...scan, state: 'running' };
  }

  /** Ends a running scan; gives its record. StoreError `not-found` when it does not run. */
  finish(id: string, end: EndedScan): ScanRecord {
    const changed = this.database.run(
      `UPDATE scans SET state = :state, finishedAt = :finishedAt, summary = :summary, error = :error
       WHERE id = :id AND state = 'running'`,
      { id, ...end, summary: toJsonOrNull(end.summary), error: toJsonOrNull(end.error) },
    );
    if (changed === 0) throw new StoreError('not-found', `no scan with the id ${id} is running`);
    return this.get(id);
  }

  find(id: string): ScanRecord | undefined {
    const row = this.database.get('SELECT * FROM scans WHERE id = :id', { id });
    return row && read(row);
  }

  /** StoreError `not-found` when there is no such scan. */
  get(id: string): ScanRecord {
    const scan = this.find(id);
    if (!scan) throw new StoreError('not-found', `there is no scan with the id ${id}`);
    return scan;
  }

  /** The last scan of a whole guest that came to its end. */
  lastOf(vm: string): ScanRecord | undefined {
    const row = this.database.get(
      `SELECT * FROM scans WHERE vm = :vm AND state = 'finished' AND partial IS NULL
       ORDER BY startedAt DESC, id LIMIT 1`,
      { vm },
    );
    return row && read(row);
  }

  /** Newest first. */
  page(filter: { readonly vm?: string; readonly state?: string }, query: PageQuery): Page<ScanRecord> {
    return readPage(this.database, { table: 'scans', time: 'startedAt', read }, { ...filter }, query);
  }

  /** Newest first. */
  list(filter: { readonly vm?: string } = {}): ScanRecord[] {
    return this.database
      .all('SELECT * FROM scans WHERE :vm IS NULL OR vm = :vm ORDER BY startedAt DESC, id', {
        vm: filter.vm ?? null,
      })
      .map(read);
  }

  /** Scans that an earlier process left running end as failed; gives how many. To be called once, when the host starts. */
  failAbandoned(now: number): number {
    return this.database.run(`UPDATE scans SET state = 'failed', finishedAt = :now WHERE state = 'running'`, {
      now,
    });
  }
}
