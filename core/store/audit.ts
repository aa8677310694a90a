/**
 * The audit log: every intent and every outcome as one link of a chain of hashes,
 *
 *   hash(n) = SHA-256(hash(n−1), n as 8 bytes big endian, entry)        hash(0) = 32 zero bytes
 *
 * so that an entry that was flipped, dropped or reordered breaks the chain. An end that was cut off would
 * leave a good chain; hence how many entries there were, and the last hash, stand apart in `audit.head`, which
 * is replaced after each entry. Whoever can rewrite both files can forge the log: it shows edits and damage,
 * it is no signature. The head file may be behind the log (a crash between the two), never ahead of it.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { StoreError } from '../error.ts';
import type { StateDatabase } from './database.ts';
import { readRow } from './rows.ts';
import { toStoreError } from './sqlite-error.ts';

const BEGINNING = '0'.repeat(64);

const AuditRow = z.object({ sequence: z.int().min(1), entry: z.string(), hash: z.string() });
type AuditRow = z.output<typeof AuditRow>;

interface Head {
  readonly count: number;
  readonly hash: string;
}

/** What is wrong with the log: in which place, and what an editor may have done there. */
export interface AuditFault {
  readonly kind: 'changed' | 'missing' | 'cut' | 'no-head';
  readonly sequence: number;
}

export class AuditLog {
  private readonly database: StateDatabase;
  private readonly headFile: string;

  constructor(database: StateDatabase) {
    this.database = database;
    this.headFile = join(database.directory, 'audit.head');
  }

  /** Adds an entry within the caller's transaction; after its commit the caller calls `sealHead`. */
  append(entry: string): void {
    const last = this.last();
    if (last.count === 0) this.writeHead(last);
    const sequence = last.count + 1;
    this.database.run('INSERT INTO audit (sequence, entry, hash) VALUES (:sequence, :entry, :hash)', {
      sequence,
      entry,
      hash: link(last.hash, sequence, entry),
    });
  }

  /** Writes down apart how far the log goes. Throws StoreError `write-failed`. */
  sealHead(): void {
    this.writeHead(this.last());
  }

  private writeHead({ count, hash }: Head): void {
    const temporary = `${this.headFile}.new`;
    try {
      const file = openSync(temporary, 'w', 0o600);
      try {
        writeSync(file, `${count} ${hash}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, this.headFile);
    } catch (cause) {
      throw toStoreError(cause, this.headFile);
    }
  }

  /** The first fault of the log, or undefined when there is none; `visit` sees each good entry in turn. */
  verify(visit: (entry: string) => void = () => undefined): AuditFault | undefined {
    const head = this.readHead();
    let count = 0;
    let hash = BEGINNING;
    let atHead = head?.count === 0;
    for (const row of this.database.iterate('SELECT * FROM audit ORDER BY sequence')) {
      const link = readRow('audit', AuditRow, row);
      const fault = faultOf(link, count, hash);
      if (fault) return fault;
      ({ hash } = link);
      count = link.sequence;
      if (head?.count === count) {
        if (head.hash !== hash) return { kind: 'changed', sequence: count };
        atHead = true;
      }
      visit(link.entry);
    }
    if (!head) return count === 0 ? undefined : { kind: 'no-head', sequence: count };
    return atHead ? undefined : { kind: 'cut', sequence: count + 1 };
  }

  private last(): Head {
    const row = this.database.get('SELECT * FROM audit ORDER BY sequence DESC LIMIT 1');
    if (!row) return { count: 0, hash: BEGINNING };
    const { sequence, hash } = readRow('audit', AuditRow, row);
    return { count: sequence, hash };
  }

  /** There is a head before the first entry, so a log with entries and no head was tampered with. */
  private readHead(): Head | undefined {
    let text: string;
    try {
      text = readFileSync(this.headFile, 'latin1');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      throw toStoreError(cause, this.headFile);
    }
    const [, count, hash] = /^(\d{1,15}) ([0-9a-f]{64})\n$/.exec(text) ?? [];
    if (count === undefined || hash === undefined) {
      throw new StoreError('corrupt', `${this.headFile} does not say how far the audit log goes`);
    }
    return { count: Number(count), hash };
  }
}

function faultOf(row: AuditRow, count: number, previous: string): AuditFault | undefined {
  if (row.sequence !== count + 1) return { kind: 'missing', sequence: count + 1 };
  if (row.hash !== link(previous, row.sequence, row.entry))
    return { kind: 'changed', sequence: row.sequence };
  return undefined;
}

function link(previous: string, sequence: number, entry: string): string {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(sequence));
  return createHash('sha256').update(Buffer.from(previous, 'hex')).update(number).update(entry).digest('hex');
}
