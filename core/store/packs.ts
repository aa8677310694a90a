import { z } from 'zod';
import type { Row, StateDatabase } from './database.ts';
import { jsonColumn, RecordTable, timeColumn } from './rows.ts';

const Version = z.object({
  serial: z.int(),
  version: z.string(),
  /** SHA-256 of its pack.json. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  expires: z.iso.datetime(),
  signatures: z.int(),
});

const PackRow = z.object({
  vendor: z.string(),
  id: z.string(),
  active: jsonColumn(Version),
  previous: jsonColumn(Version).optional(),
  highestSerial: z.int(),
  changedAt: timeColumn,
});

/** One version of a pack. */
export type PackVersion = z.output<typeof Version>;
export type PackRecord = z.output<typeof PackRow>;

export const PACKS = new RecordTable<PackRecord>('packs', PackRow, ['vendor', 'id']);

/** Which packs are in use. A change is one transaction, so that a crash leaves the old or the new. Every method throws StoreError. */
export class PackStore {
  private readonly database: StateDatabase;

  constructor(database: StateDatabase) {
    this.database = database;
  }

  list(): PackRecord[] {
    return PACKS.readable(this.database, this.rows());
  }

  /** The packs whose rows cannot be read, as `VENDOR/ID`: which version of them is in use is not known. */
  unreadable(): string[] {
    return this.rows()
      .filter((row) => PACKS.faultOf(row) !== undefined)
      .map(({ vendor, id }) => `${vendor}/${id}`);
  }

  find(vendor: string, id: string): PackRecord | undefined {
    const row = this.database.get('SELECT * FROM packs WHERE vendor = :vendor AND id = :id', { vendor, id });
    return row && PACKS.read(row);
  }

  save(record: PackRecord, event: 'installed' | 'rolled-back'): void {
    const { vendor, id, active, previous, highestSerial, changedAt } = record;
    this.database.transaction(() => {
      this.database.run(
        `INSERT OR REPLACE INTO packs (vendor, id, active, previous, highestSerial, changedAt)
         VALUES (:vendor, :id, :active, :previous, :highestSerial, :changedAt)`,
        PACKS.checked({
          vendor,
          id,
          active: JSON.stringify(active),
          previous: previous === undefined ? null : JSON.stringify(previous),
          highestSerial,
          changedAt,
        }),
      );
      this.database.run(
        'INSERT INTO packHistory (vendor, id, at, event, serial) VALUES (:vendor, :id, :at, :event, :serial)',
        { vendor, id, at: changedAt, event, serial: active.serial },
      );
    });
  }

  private rows(): Row[] {
    return this.database.all('SELECT * FROM packs ORDER BY vendor, id');
  }
}
