import { z } from 'zod';
import { FileState, sha256, wireBytes } from '../../protocol/index.ts';
import { StoreError } from '../error.ts';
import type { Row, StateDatabase } from './database.ts';
import { type Page, type PageQuery, readPage } from './page.ts';
import type { VaultRecord } from './records.ts';
import { jsonColumn, RecordTable, timeColumn, toJsonOrNull } from './rows.ts';
import { saturatingSum } from './sum.ts';

const VaultRow = z.object({
  id: z.uuid(),
  vm: z.string(),
  finding: z.string().exactOptional(),
  action: z.string(),
  path: jsonColumn(wireBytes),
  sha256,
  size: z.int().min(0),
  state: jsonColumn(FileState).exactOptional(),
  status: z.enum(['arriving', 'held', 'restored', 'purged']),
  at: timeColumn,
});

export const VAULT = new RecordTable<VaultRecord>('vault', VaultRow);
const PAGES = { table: VAULT, time: 'at' } as const;

export interface VaultFilter {
  readonly vm?: string;
  readonly status?: VaultRecord['status'];
}

export interface VaultUse {
  readonly files: number;
  readonly bytes: number;
}

const useOf = (row: Row | undefined): VaultUse => ({
  files: Number(row?.files ?? 0),
  bytes: Number(row?.bytes ?? 0),
});

/** What lies in the vault. Every method throws StoreError. */
export class VaultIndex {
  private readonly database: StateDatabase;

  constructor(database: StateDatabase) {
    this.database = database;
  }

  save(record: VaultRecord): void {
    this.database.run(
      `INSERT OR REPLACE INTO vault (id, vm, finding, action, path, sha256, size, state, status, at)
       VALUES (:id, :vm, :finding, :action, :path, :sha256, :size, :state, :status, :at)`,
      VAULT.checked({
        ...record,
        finding: record.finding ?? null,
        path: JSON.stringify(record.path),
        state: toJsonOrNull(record.state),
      }),
    );
  }

  /** StoreError `not-found` when there is no such record. */
  get(id: string): VaultRecord {
    const row = this.database.get('SELECT * FROM vault WHERE id = :id', { id });
    if (!row) throw new StoreError('not-found', `nothing with the id ${id} was ever put into quarantine`);
    return VAULT.read(row);
  }

  /** The record of a containing command; undefined also where it cannot be read, and then its content stays as it is. */
  ofAction(action: string): VaultRecord | undefined {
    const rows = this.database.all('SELECT * FROM vault WHERE action = :action', { action });
    return VAULT.readable(this.database, rows)[0];
  }

  /** How many files are in quarantine, and their bytes. */
  held(): { readonly held: number; readonly bytes: number } {
    const row = this.database.get(
      `SELECT count(*) AS held, ${saturatingSum('size')} AS bytes FROM vault WHERE status = 'held'`,
    );
    return { held: Number(row?.held ?? 0), bytes: Number(row?.bytes ?? 0) };
  }

  /** What takes room: all of which the content is still there, also of what is arriving or was restored. */
  stored(vm?: string): VaultUse {
    const sql = `SELECT count(*) AS files, ${saturatingSum('size')} AS bytes FROM vault WHERE status <> 'purged'`;
    return useOf(
      vm === undefined ? this.database.get(sql) : this.database.get(`${sql} AND vm = :vm`, { vm }),
    );
  }

  /** By VM, the one with the most bytes first. */
  storedByVm(): ({ readonly vm: string } & VaultUse)[] {
    return this.database
      .all(
        `SELECT vm, count(*) AS files, ${saturatingSum('size')} AS bytes FROM vault
         WHERE status <> 'purged' GROUP BY vm ORDER BY bytes DESC, vm`,
      )
      .map((row) => ({ vm: String(row.vm), ...useOf(row) }));
  }

  /** How many files of this VM were taken from `since` to `until`, whatever became of them. */
  takenBetween(vm: string, since: number, until: number): number {
    const row = this.database.get(
      'SELECT count(*) AS files FROM vault WHERE vm = :vm AND at > :since AND at <= :until',
      { vm, since, until },
    );
    return Number(row?.files ?? 0);
  }

  /** Newest first. */
  page(filter: { readonly vm?: string }, query: PageQuery): Page<VaultRecord> {
    return readPage(this.database, PAGES, { ...filter }, query);
  }

  /** Newest first. */
  list(filter: VaultFilter = {}): VaultRecord[] {
    const rows = this.database.all(
      `SELECT * FROM vault
       WHERE (:vm IS NULL OR vm = :vm) AND (:status IS NULL OR status = :status)
       ORDER BY at DESC, id`,
      { vm: filter.vm ?? null, status: filter.status ?? null },
    );
    return VAULT.readable(this.database, rows);
  }

  remove(id: string): void {
    this.database.run('DELETE FROM vault WHERE id = :id', { id });
  }
}
