import { z } from 'zod';
import { Features, INSTRUCTION_NAMES, LoginRequest, sha256 } from '../../protocol/index.ts';
import type { StateDatabase } from './database.ts';
import type { Suspension, VmRecord } from './records.ts';
import { jsonColumn, RecordTable, timeColumn, toJsonOrNull } from './rows.ts';

const InstructionSetColumn = z.object({
  id: z.string(),
  instructions: z.array(z.enum(INSTRUCTION_NAMES)),
  withheld: z.array(
    z.object({
      instruction: z.enum(INSTRUCTION_NAMES),
      reason: z.enum(['not-offered', 'denied-by-guest', 'denied-by-policy']),
    }),
  ),
});

const SuspensionColumn = z.object({ at: timeColumn, reason: z.string() });

const VmRow = z.object({
  id: z.string(),
  name: z.string(),
  socket: z.string(),
  agentKey: sha256,
  login: jsonColumn(LoginRequest),
  epoch: z.int().min(0),
  enrolledAt: timeColumn,
  lastSeen: timeColumn,
  features: jsonColumn(Features).exactOptional(),
  instructionSet: jsonColumn(InstructionSetColumn).exactOptional(),
  suspended: jsonColumn(SuspensionColumn).exactOptional(),
  resetAt: timeColumn.exactOptional(),
});

export const VMS = new RecordTable<VmRecord>('vms', VmRow);

/** The guests that were enrolled. Every method throws StoreError. */
export class VmStore {
  private readonly database: StateDatabase;

  constructor(database: StateDatabase) {
    this.database = database;
  }

  /** StoreError `corrupt` when its row cannot be read: it is not met as if for the first time. */
  find(id: string): VmRecord | undefined {
    const row = this.database.get('SELECT * FROM vms WHERE id = :id', { id });
    return row && VMS.read(row);
  }

  /** As `find`, to tell of it only; one that cannot be read is as if it were not there. */
  readable(id: string): VmRecord | undefined {
    return VMS.readable(this.database, this.database.all('SELECT * FROM vms WHERE id = :id', { id }))[0];
  }

  save(record: VmRecord): void {
    this.database.run(
      `INSERT OR REPLACE INTO vms
         (id, name, socket, agentKey, login, epoch, enrolledAt, lastSeen, features, instructionSet,
          suspended, resetAt)
       VALUES
         (:id, :name, :socket, :agentKey, :login, :epoch, :enrolledAt, :lastSeen, :features, :instructionSet,
          :suspended, :resetAt)`,
      VMS.checked({
        ...record,
        login: JSON.stringify(record.login),
        features: toJsonOrNull(record.features),
        instructionSet: toJsonOrNull(record.instructionSet),
        suspended: toJsonOrNull(record.suspended),
        resetAt: record.resetAt ?? null,
      }),
    );
  }

  /** From now on nothing is done to it. One that is suspended already keeps its first reason. False: it is not known. */
  suspend(id: string, suspension: Suspension): boolean {
    const suspended = JSON.stringify(suspension);
    const sql = 'UPDATE vms SET suspended = coalesce(suspended, :suspended) WHERE id = :id';
    return this.database.run(sql, { id, suspended }) > 0;
  }

  /** What was agreed with the guest as it was is void: it was started or restored. */
  mintEpoch(id: string): void {
    this.database.run('UPDATE vms SET epoch = epoch + 1 WHERE id = :id', { id });
  }

  /** By name. */
  list(): VmRecord[] {
    return VMS.readable(this.database, this.database.all('SELECT * FROM vms ORDER BY name, id'));
  }
}
