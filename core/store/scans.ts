import { z } from 'zod';
import { StoreError } from '../error.ts';
import type { Row, StateDatabase } from './database.ts';
import type { ScanRecord, ScanSummary } from './records.ts';
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
  startedAt: timeColumn,
  finishedAt: timeColumn.exactOptional(),
  state: z.enum(['running', 'finished', 'failed']),
  summary: jsonColumn(SummaryColumn).exactOptional(),
});

const read = (row: Row): ScanRecord => readRow('scans', ScanRow, row);

/** The scans that were begun. Every method throws StoreError. */
export class ScanStore {
  private readonly database: StateDatabase;

  constructor(database: StateDatabase) {
    this.database = database;
  }

  begin(scan: Pick<ScanRecord, 'id' | 'vm' | 'mode' | 'startedAt'>): ScanRecord {
    const { id, vm, mode, startedAt } = scan;
    this.database.run(
      `INSERT INTO scans (id, vm, mode, startedAt, state) VALUES (:id, :vm, :mode, :startedAt, 'running')`,
      { id, vm, mode, startedAt },
    );
    return { id, vm, mode, startedAt, state: 'running' };
  }

  /** Ends a running scan; gives its record. StoreError `not-found` when it does not run. */
  finish(
    id: string,
    end: {
      readonly state: 'finished' | 'failed';
      readonly finishedAt: number;
      readonly summary?: ScanSummary;
    },
  ): ScanRecord {
    const changed = this.database.run(
      `UPDATE scans SET state = :state, finishedAt = :finishedAt, summary = :summary
       WHERE id = :id AND state = 'running'`,
      { id, state: end.state, finishedAt: end.finishedAt, summary: toJsonOrNull(end.summary) },
    );
    if (changed === 0) throw new StoreError('not-found', `no scan with the id ${id} is running`);
    return this.get(id);
  }

  /** StoreError `not-found` when there is no such scan. */
  get(id: string): ScanRecord {
    const row = this.database.get('SELECT * FROM scans WHERE id = :id', { id });
    if (!row) throw new StoreError('not-found', `there is no scan with the id ${id}`);
    return read(row);
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
