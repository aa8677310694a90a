import { z } from 'zod';
import type { StateDatabase } from './database.ts';
import { PATCH_STATES, type PatchRecord } from './records.ts';
import { jsonColumn, RecordTable, timeColumn } from './rows.ts';

const PatchRow = z.object({
  id: z.string(),
  vm: z.string(),
  patch: z.string(),
  title: z.string(),
  state: z.enum(PATCH_STATES),
  reasons: jsonColumn(z.array(z.string())),
  actions: jsonColumn(z.array(z.string())),
  at: timeColumn,
});

export const PATCHES = new RecordTable<PatchRecord>('patches', PatchRow);

/** What patches came to. Every method throws StoreError. */
export class PatchStore {
  private readonly database: StateDatabase;

  constructor(database: StateDatabase) {
    this.database = database;
  }

  add(record: PatchRecord): void {
    this.database.run(
      `INSERT INTO patches (id, vm, patch, title, state, reasons, actions, at)
       VALUES (:id, :vm, :patch, :title, :state, :reasons, :actions, :at)`,
      PATCHES.checked({
        ...record,
        reasons: JSON.stringify(record.reasons),
        actions: JSON.stringify(record.actions),
      }),
    );
  }

  /** Newest first. */
  list(filter: { readonly vm?: string; readonly patch?: string } = {}): PatchRecord[] {
    const rows = this.database.all(
      `SELECT * FROM patches
       WHERE (:vm IS NULL OR vm = :vm) AND (:patch IS NULL OR patch = :patch)
       ORDER BY at DESC, id`,
      { vm: filter.vm ?? null, patch: filter.patch ?? null },
    );
    return PATCHES.readable(this.database, rows);
  }
}
