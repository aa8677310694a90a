/**
 * What was done to VMs as a whole: started, paused, reverted and so on. As with actions in guests, an intent is on the
 * disk before the hypervisor hears of it, its outcome closes it, once, and both stand in the audit log.
 */
import { z } from 'zod';
import { StoreError } from '../error.ts';
import type { ActionJournal } from './action-journal.ts';
import { AuditLog } from './audit.ts';
import type { Parameters, StateDatabase } from './database.ts';
import { type Page, type PageQuery, readPage } from './page.ts';
import { VM_ACTION_CODES, VM_ACTIONS, type VmActionOutcome, type VmActionRecord } from './records.ts';
import { jsonColumn, RecordTable, timeColumn } from './rows.ts';

export const RequesterColumn = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('api'), name: z.string(), role: z.string() }),
  z.object({ kind: z.literal('policy'), rule: z.string(), scan: z.string() }),
]);

export const VmActionOutcomeColumn = z.object({
  code: z.enum(VM_ACTION_CODES),
  detail: z.string().exactOptional(),
});

const VmActionRow = z.object({
  id: z.uuid(),
  vm: z.string(),
  action: z.enum(VM_ACTIONS),
  snapshot: z.string().exactOptional(),
  requester: jsonColumn(RequesterColumn),
  intentAt: timeColumn,
  outcome: jsonColumn(VmActionOutcomeColumn).exactOptional(),
  outcomeAt: timeColumn.exactOptional(),
});

export const VM_ACTION_ROWS = new RecordTable<VmActionRecord>('vmActions', VmActionRow);
const PAGES = { table: VM_ACTION_ROWS, time: 'intentAt' } as const;

export type VmActionIntent = Omit<VmActionRecord, 'outcome' | 'outcomeAt'>;

/** Every method throws StoreError. */
export class VmActionJournal {
  private readonly database: StateDatabase;
  private readonly actions: Pick<ActionJournal, 'requireIntact'>;
  private readonly audit: AuditLog;

  /** `actions` has the same log, and knows whether it was tampered with. */
  constructor(database: StateDatabase, actions: Pick<ActionJournal, 'requireIntact'>) {
    this.database = database;
    this.actions = actions;
    this.audit = new AuditLog(database);
  }

  /** Writes down what is about to be done; on the disk when it returns. StoreError `corrupt`: nothing is to be done. */
  intent(intent: VmActionIntent): void {
    this.actions.requireIntact();
    const columns = VM_ACTION_ROWS.checked(columnsOf(intent));
    this.database.transaction(() => {
      this.database.run(
        `INSERT INTO vmActions (id, vm, action, snapshot, requester, intentAt)
         VALUES (:id, :vm, :action, :snapshot, :requester, :intentAt)`,
        columns,
      );
      this.audit.append(JSON.stringify(['vm-intent', columns]));
    });
    this.audit.sealHead();
  }

  /** Closes an intent; gives the record as it is kept. One that is closed keeps its first outcome. `not-found`: there is none. */
  outcome(id: string, outcome: VmActionOutcome, outcomeAt: number): VmActionRecord {
    const columns = { id, outcome: JSON.stringify(outcome), outcomeAt };
    const closed = this.database.transaction(() => {
      const row = this.database.get('SELECT * FROM vmActions WHERE id = :id AND outcome IS NULL', { id });
      if (!row) return undefined;
      VM_ACTION_ROWS.checked({ ...row, ...columns } as Parameters);
      this.database.run(
        'UPDATE vmActions SET outcome = :outcome, outcomeAt = :outcomeAt WHERE id = :id',
        columns,
      );
      this.audit.append(JSON.stringify(['vm-outcome', columns]));
      return VM_ACTION_ROWS.read({ ...row, ...columns });
    });
    if (!closed) return this.get(id);
    this.audit.sealHead();
    return closed;
  }

  /** Intents of a VM without an outcome, oldest first. */
  open(vm: string): VmActionRecord[] {
    const sql = 'SELECT * FROM vmActions WHERE vm = :vm AND outcome IS NULL ORDER BY intentAt, id';
    return VM_ACTION_ROWS.readable(this.database, this.database.all(sql, { vm }));
  }

  /** Newest first. */
  page(filter: { readonly vm?: string }, query: PageQuery): Page<VmActionRecord> {
    return readPage(this.database, PAGES, { ...filter }, query);
  }

  private get(id: string): VmActionRecord {
    const row = this.database.get('SELECT * FROM vmActions WHERE id = :id', { id });
    if (!row)
      throw new StoreError('not-found', `no action upon a VM with the id ${id} was ever written down`);
    return VM_ACTION_ROWS.read(row);
  }
}

const columnsOf = ({ id, vm, action, snapshot, requester, intentAt }: VmActionIntent) => ({
  ...{ id, vm, action, snapshot: snapshot ?? null },
  ...{ requester: JSON.stringify(requester), intentAt },
});
