/**
 * What is kept of the listings of guests: their lines, and which content each file in them had. A line is
 * named by the digest of its bytes, so one that comes with that digest again says the same as then.
 *
 * `generation` is there on lines all of whose files were judged clean by one generation of detectors, and
 * names it. `claimed`: the hash of some file in it was the guest's own statement. `shareable`: where it comes from
 * another guest, the two are of one image (line.ts).
 */
import { z } from 'zod';
import { MOST_COUNTED } from '../../protocol/index.ts';
import type { StateDatabase } from './database.ts';
import { RecordTable, readRow } from './rows.ts';
import { saturatingSum } from './sum.ts';

/** Digests and generations are 16 bytes. */
export interface KnownLine {
  readonly directory: Buffer;
  readonly digest: Buffer;
  readonly generation: Buffer | undefined;
  readonly files: number;
  readonly bytes: number;
  readonly claimed: boolean;
  readonly shareable: boolean;
  /** For each file that has one: 16 bytes digest of its entry, 32 bytes SHA-256 of its content. */
  readonly entries: Buffer;
}

export interface LineSummary {
  readonly id: number;
  /** 32 hex digits. */
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
}

export const ENTRY_BYTES = 48;
/** Guests of whose lines a new one may have some. */
const OTHER_GUESTS = 8;

const IdRow = z.object({ id: z.int() });
const SummaryRow = z.object({
  id: z.int(),
  digest: z.string().length(32),
  files: z.int().min(0),
  bytes: z.int().min(0),
});
const EntriesRow = z.object({
  claimed: z.int().transform(Boolean),
  entries: z.instanceof(Uint8Array).transform((bytes) => Buffer.from(bytes)),
});

type Entries = z.output<typeof EntriesRow>;
const WrittenRow = z.object({ guest: z.int(), files: z.int().min(0), bytes: z.int().min(0) });

/** A line that cannot be read is as if it were not known: what it lists is listed and fetched again. */
const SUMMARIES = new RecordTable<LineSummary>('knownLines', SummaryRow);
const ENTRIES = new RecordTable<Entries>('knownLines', EntriesRow);
const WRITTEN = new RecordTable('knownLines', WrittenRow, ['guest']);

/** Listing lines of guests. Every method throws StoreError. */
export class KnownLineStore {
  private readonly database: StateDatabase;
  private readonly mostFiles: number;

  /** Keeps lines of about `mostFiles` files at most, over all guests. */
  constructor(database: StateDatabase, mostFiles: number) {
    this.database = database;
    this.mostFiles = mostFiles;
  }

  /** The number under which lines of this VM are kept. Guests that were not scanned for longest go first when there is too much. */
  begin(vm: string, now: number): number {
    return this.database.transaction(() => {
      this.database.run(
        `INSERT INTO knownGuests (vm, scannedAt, files) VALUES (:vm, :now, 0)
         ON CONFLICT (vm) DO UPDATE SET scannedAt = excluded.scannedAt`,
        { vm, now },
      );
      this.evict(vm);
      return readRow('knownGuests', IdRow, {
        ...this.database.get('SELECT id FROM knownGuests WHERE vm = :vm', { vm }),
      }).id;
    });
  }

  /** The lines that are clean as a whole under this generation. */
  *ofGeneration(guest: number, generation: Buffer, withClaimed: boolean): Generator<LineSummary> {
    const rows = this.database.all(
      `SELECT id, lower(hex(digest)) AS digest, files, bytes FROM knownLines
       WHERE guest = :guest AND generation = :generation AND claimed <= :claimed`,
      { guest, generation, claimed: Number(withClaimed) },
    );
    yield* SUMMARIES.readable(this.database, rows);
  }

  /** Such lines of the guests that were scanned last, other than this one: at most `most`, none of them claimed. */
  *ofOthers(guest: number, generation: Buffer, most: number): Generator<LineSummary> {
    const rows = this.database.all(
      `SELECT id, lower(hex(digest)) AS digest, files, bytes FROM knownLines
       WHERE guest IN (SELECT id FROM knownGuests AS other WHERE id <> :guest
                         AND EXISTS (SELECT 1 FROM knownLines WHERE guest = other.id)
                       ORDER BY scannedAt DESC LIMIT :guests)
         AND generation = :generation AND claimed = 0 AND shareable = 1
       LIMIT :most`,
      { guest, generation, guests: OTHER_GUESTS, most },
    );
    yield* SUMMARIES.readable(this.database, rows);
  }

  /** Takes lines of other guests over, as what this guest claims to have. */
  adopt(guest: number, ids: readonly number[]): void {
    if (ids.length === 0) return;
    this.database.transaction(() => {
      this.database.run(
        `INSERT INTO knownLines (guest, directory, digest, generation, files, bytes, claimed, shareable, entries)
         SELECT :guest, directory, digest, generation, files, bytes, 1, shareable, entries
         FROM knownLines WHERE id IN (SELECT value FROM json_each(:ids))`,
        { guest, ids: JSON.stringify(ids) },
      );
      this.count(guest);
    });
  }

  /** The entries of one line; empty when it is gone, or cannot be read. */
  entriesOf(id: number): Buffer {
    const rows = this.database.all('SELECT id, claimed, entries FROM knownLines WHERE id = :id', { id });
    return ENTRIES.readable(this.database, rows)[0]?.entries ?? Buffer.alloc(0);
  }

  /** The entries of the lines of one directory, the first `most` of them. */
  ofDirectory(guest: number, directory: Buffer, withClaimed: boolean, most: number) {
    const rows = this.database.all(
      `SELECT id, claimed, entries FROM knownLines
       WHERE guest = :guest AND directory = :directory AND claimed <= :claimed LIMIT :most`,
      { guest, directory, claimed: Number(withClaimed), most },
    );
    return ENTRIES.readable(this.database, rows);
  }

  /** The id after which lines are new; 0 when there are none. */
  lastId(guest: number): number {
    return Number(
      this.database.get('SELECT max(id) AS id FROM knownLines WHERE guest = :guest', { guest })?.id ?? 0,
    );
  }

  /** Puts lines in the place of those with the same digest. */
  save(lines: readonly { readonly guest: number; readonly line: KnownLine }[]): void {
    this.database.transaction(() => {
      for (const { guest, line } of lines) {
        const { directory, digest, generation, files, claimed, shareable, entries } = line;
        const bytes = Math.min(line.bytes, MOST_COUNTED);
        WRITTEN.checked({ guest, files, bytes });
        this.database.run(
          'DELETE FROM knownLines WHERE guest = :guest AND directory = :directory AND digest = :digest',
          { guest, directory, digest },
        );
        this.database.run(
          `INSERT INTO knownLines
             (guest, directory, digest, generation, files, bytes, claimed, shareable, entries)
           VALUES (:guest, :directory, :digest, :generation, :files, :bytes, :claimed, :shareable, :entries)`,
          {
            ...{ guest, directory, digest, files, bytes, entries },
            ...{ generation: generation ?? null, claimed: Number(claimed), shareable: Number(shareable) },
          },
        );
      }
    });
  }

  /**
   * Removes lines up to `last` that a listing did not confirm: of all directories when the listing was of the
   * whole guest, else of those that have newer lines.
   */
  sweep(guest: number, last: number, isWhole: boolean, isConfirmed: (id: number) => boolean): void {
    const scope = isWhole ? '' : `AND EXISTS (${NEWER})`;
    this.database.transaction(() => {
      const rows = this.database.all(
        `SELECT id FROM knownLines AS old WHERE guest = :guest AND id <= :last ${scope}`,
        { guest, last },
      );
      for (const row of rows) {
        const { id } = readRow('knownLines', IdRow, row);
        if (!isConfirmed(id)) this.database.run('DELETE FROM knownLines WHERE id = :id', { id });
      }
      this.count(guest);
    });
  }

  /** Removes all lines of a guest. */
  forget(guest: number): void {
    this.database.transaction(() => {
      this.database.run('DELETE FROM knownLines WHERE guest = :guest', { guest });
      this.count(guest);
    });
  }

  private count(guest: number): void {
    this.database.run(
      `UPDATE knownGuests SET files =
         (SELECT ${saturatingSum('files')} FROM knownLines WHERE guest = :guest) WHERE id = :guest`,
      { guest },
    );
  }

  private evict(except: string): void {
    const guests = this.database.all(
      `SELECT id, ${saturatingSum('files', 'OVER (ORDER BY scannedAt DESC, id)')} AS upToThis FROM knownGuests
       WHERE vm <> :except`,
      { except },
    );
    for (const { id, upToThis } of guests) {
      if (Number(upToThis) <= this.mostFiles) continue;
      this.database.run('DELETE FROM knownLines WHERE guest = :id', { id: Number(id) });
      this.database.run('DELETE FROM knownGuests WHERE id = :id', { id: Number(id) });
    }
  }
}

const NEWER = `SELECT 1 FROM knownLines AS new
  WHERE new.guest = old.guest AND new.directory = old.directory AND new.id > :last`;
