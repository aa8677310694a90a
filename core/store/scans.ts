import { z } from 'zod';
import { StoreError } from '../error.ts';
import type { Parameters, StateDatabase } from './database.ts';
import { type Page, type PageQuery, readPage } from './page.ts';
import { SCAN_TRIGGERS, type ScanRecord, type ScanSummary } from './records.ts';
import { countInJson, jsonColumn, RecordTable, timeColumn, toJsonOrNull } from './rows.ts';

const SummaryColumn = z.object({
  files: countInJson,
  bytes: countInJson,
  // Absent where an older release wrote it.
  unchanged: countInJson.default(0),
  claimed: countInJson.default(0),
  processes: countInJson,
  malicious: countInJson,
  suspicious: countInJson,
  failed: countInJson.exactOptional(),
  unscanned: z.record(z.string(), countInJson),
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

export const SCANS = new RecordTable<ScanRecord>('scans', ScanRow);
const PAGES = { table: SCANS, time: 'startedAt' } as const;

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
    const { id, vm, mode, trigger, startedAt } = scan;
    const columns = {
      ...{ id, vm, mode, trigger, startedAt },
      ...{ dryRun: Number(scan.dryRun), partial: scan.partial ? 1 : null },
    };
    SCANS.checked({ ...columns, state: 'running' });
    this.database.run(
      `INSERT INTO scans (id, vm, mode, dryRun, trigger, partial, startedAt, state)
       VALUES (:id, :vm, :mode, :dryRun, :trigger, :partial, :startedAt, 'running')`,
      columns,
    );
    return { ...scan, state: 'running' };
  }

  /** Ends a running scan; gives its record. StoreError `not-found` when it does not run. */
  finish(id: string, end: EndedScan): ScanRecord {
    const columns = { ...end, summary: toJsonOrNull(end.summary), error: toJsonOrNull(end.error) };
    return this.database.transaction(() => {
      const row = this.database.get("SELECT * FROM scans WHERE id = :id AND state = 'running'", { id });
      if (!row) throw new StoreError('not-found', `no scan with the id ${id} is running`);
      SCANS.checked({ ...row, ...columns } as Parameters);
      this.database.run(
        `UPDATE scans SET state = :state, finishedAt = :finishedAt, summary = :summary, error = :error
         WHERE id = :id`,
        { id, ...columns },
      );
      return this.get(id);
    });
  }

  find(id: string): ScanRecord | undefined {
    const row = this.database.get('SELECT * FROM scans WHERE id = :id', { id });
    return row && SCANS.read(row);
  }

  /** As `find`; one that cannot be read is as if it were not there. */
  readable(id: string): ScanRecord | undefined {
    return SCANS.readable(this.database, this.database.all('SELECT * FROM scans WHERE id = :id', { id }))[0];
  }

  /** StoreError `not-found` when there is no such scan. */
  get(id: string): ScanRecord {
    const scan = this.find(id);
    if (!scan) throw new StoreError('not-found', `there is no scan with the id ${id}`);
    return scan;
  }

  /** The last scan of a whole guest that came to its end, of those that can be read. */
  lastOf(vm: string): ScanRecord | undefined {
    for (let skipped = 0; ; skipped++) {
      const rows = this.database.all(
        `SELECT * FROM scans WHERE vm = :vm AND state = 'finished' AND partial IS NULL
         ORDER BY startedAt DESC, id LIMIT 1 OFFSET :skipped`,
        { vm, skipped },
      );
      const [scan] = SCANS.readable(this.database, rows);
      if (scan || rows.length === 0) return scan;
    }
  }

  /** Newest first. */
  page(filter: { readonly vm?: string; readonly state?: string }, query: PageQuery): Page<ScanRecord> {
    return readPage(this.database, PAGES, { ...filter }, query);
  }

  /** Newest first. */
  list(filter: { readonly vm?: string } = {}): ScanRecord[] {
    const rows = this.database.all(
      'SELECT * FROM scans WHERE :vm IS NULL OR vm = :vm ORDER BY startedAt DESC, id',
      { vm: filter.vm ?? null },
    );
    return SCANS.readable(this.database, rows);
  }

  /** Scans that an earlier process left running end as failed; gives how many. To be called once, when the host starts. */
  failAbandoned(now: number): number {
    return this.database.run(`UPDATE scans SET state = 'failed', finishedAt = :now WHERE state = 'running'`, {
      now,
    });
  }
}
