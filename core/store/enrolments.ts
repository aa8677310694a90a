/**
 * Enrolment as it is kept: one-time tokens, guests that wait for an operator's word, and a line in the audit log for
 * each change of who is let in. Every method throws StoreError.
 */
import { z } from 'zod';
import { LoginRequest, sha256 } from '../../protocol/index.ts';
import { AuditLog } from './audit.ts';
import type { StateDatabase } from './database.ts';
import type { PendingGuest, TokenRecord } from './records.ts';
import { jsonColumn, RecordTable, timeColumn } from './rows.ts';

/** Guests may show any number of keys; so much of it is kept, the latest first. */
const MOST_PENDING = 1000;
const MOST_PENDING_OF_ONE = 4;
/** A token that was used or has expired is told from one that never was for so long. */
const KEEP_SPENT_MILLISECONDS = 90 * 24 * 3_600_000;

const TokenRow = z.object({
  id: z.int(),
  vm: z.string(),
  key: z.instanceof(Uint8Array),
  createdAt: timeColumn,
  expires: timeColumn,
  usedAt: timeColumn.exactOptional(),
});

const PendingRow = z.object({
  vm: z.string(),
  agentKey: sha256,
  name: z.string(),
  socket: z.string(),
  login: jsonColumn(LoginRequest),
  reason: z.string(),
  firstSeen: timeColumn,
  lastSeen: timeColumn,
  attempts: z.int().min(1),
});

export const TOKENS_KEPT = new RecordTable<TokenRecord>('enrolmentTokens', TokenRow);
export const PENDING = new RecordTable<PendingGuest>('pendingGuests', PendingRow, ['vm', 'agentKey']);

export const ENROLMENT_EVENTS = ['token-made', 'enrolled', 'accepted', 'reset', 'suspended'] as const;

/** What is written into the audit log; `id` is the VM's. */
export interface EnrolmentEvent {
  readonly id: string;
  readonly event: (typeof ENROLMENT_EVENTS)[number];
  readonly at: number;
  readonly agentKey?: string;
  /** How it was let in, or why it was suspended. */
  readonly detail?: string;
}

export class EnrolmentStore {
  private readonly database: StateDatabase;
  private readonly audit: AuditLog;

  constructor(database: StateDatabase) {
    this.database = database;
    this.audit = new AuditLog(database);
  }

  /** All of `work` and the lines that it logs, or nothing; durable when it returns. */
  change<T>(work: (log: (event: EnrolmentEvent) => void) => T): T {
    let logged = false;
    const result = this.database.transaction(() =>
      work((event) => {
        this.audit.append(JSON.stringify(['enrolment', event]));
        logged = true;
      }),
    );
    if (logged) this.audit.sealHead();
    return result;
  }

  /** The one token of its VM that is not used from now on. */
  addToken(token: Pick<TokenRecord, 'vm' | 'key' | 'createdAt' | 'expires'>): void {
    TOKENS_KEPT.checked({ ...token, id: 0 });
    this.dropTokens(token.vm);
    const before = token.createdAt - KEEP_SPENT_MILLISECONDS;
    this.database.run('DELETE FROM enrolmentTokens WHERE usedAt < :before OR expires < :before', { before });
    this.database.run(
      `INSERT INTO enrolmentTokens (vm, key, createdAt, expires) VALUES (:vm, :key, :createdAt, :expires)`,
      { ...token },
    );
  }

  /** Newest first. */
  tokensOf(vm: string): TokenRecord[] {
    const rows = this.database.all('SELECT * FROM enrolmentTokens WHERE vm = :vm ORDER BY id DESC', { vm });
    return TOKENS_KEPT.readable(this.database, rows);
  }

  tokensOfOthers(vm: string): TokenRecord[] {
    const rows = this.database.all('SELECT * FROM enrolmentTokens WHERE vm <> :vm', { vm });
    return TOKENS_KEPT.readable(this.database, rows);
  }

  useToken(id: number, usedAt: number): void {
    this.database.run('UPDATE enrolmentTokens SET usedAt = :usedAt WHERE id = :id', { id, usedAt });
  }

  /** Those that were not used. */
  dropTokens(vm: string): void {
    this.database.run('DELETE FROM enrolmentTokens WHERE vm = :vm AND usedAt IS NULL', { vm });
  }

  /** Remembers a guest that was not let in; the ones that were seen least recently make room. */
  addPending(guest: Omit<PendingGuest, 'firstSeen' | 'attempts'>): void {
    const columns = { ...guest, login: JSON.stringify(guest.login) };
    PENDING.checked({ ...columns, firstSeen: guest.lastSeen, attempts: 1 });
    this.database.transaction(() => {
      this.database.run(
        `INSERT INTO pendingGuests (vm, agentKey, name, socket, login, reason, firstSeen, lastSeen, attempts)
         VALUES (:vm, :agentKey, :name, :socket, :login, :reason, :lastSeen, :lastSeen, 1)
         ON CONFLICT (vm, agentKey) DO UPDATE SET name = :name, socket = :socket, login = :login,
           reason = :reason, lastSeen = :lastSeen, attempts = attempts + 1`,
        columns,
      );
      this.database.run(
        `DELETE FROM pendingGuests WHERE rowid IN (
           SELECT rowid FROM pendingGuests WHERE vm = :vm
           ORDER BY lastSeen DESC, rowid DESC LIMIT -1 OFFSET ${MOST_PENDING_OF_ONE})`,
        { vm: guest.vm },
      );
      this.database.run(
        `DELETE FROM pendingGuests WHERE rowid IN (
           SELECT rowid FROM pendingGuests ORDER BY lastSeen DESC, rowid DESC LIMIT -1 OFFSET ${MOST_PENDING})`,
      );
    });
  }

  /** The latest first. */
  pending(): PendingGuest[] {
    const rows = this.database.all('SELECT * FROM pendingGuests ORDER BY lastSeen DESC, rowid DESC');
    return PENDING.readable(this.database, rows);
  }

  findPending(vm: string, agentKey: string): PendingGuest | undefined {
    const sql = 'SELECT * FROM pendingGuests WHERE vm = :vm AND agentKey = :agentKey';
    const row = this.database.get(sql, { vm, agentKey });
    return row && PENDING.read(row);
  }

  /** Nobody waits any more under this VM. */
  dropPending(vm: string): void {
    this.database.run('DELETE FROM pendingGuests WHERE vm = :vm', { vm });
  }
}
