/**
 * What was asked of guests and what became of it. An intent is on the disk before the guest hears of it
 * (invariant B); its outcome closes it, once (invariant C). Both also go into the audit log, in the same
 * transaction.
 */
import { z } from 'zod';
import { type Instruction, Outcome, outcomeCodes, TARGETS } from '../../protocol/index.ts';
import { StoreError } from '../error.ts';
import { AuditLog } from './audit.ts';
import type { Parameters, Row, StateDatabase } from './database.ts';
import { type Page, type PageQuery, readPage } from './page.ts';
import type { ActionRecord, RecordedOutcome } from './records.ts';
import { jsonColumn, RecordTable, readRow, timeColumn } from './rows.ts';
import { VM_ACTION_ROWS } from './vm-action-journal.ts';

const instructionOf = <Name extends Instruction['name']>(name: Name) =>
  z.object({ name: z.literal(name), target: TARGETS[name] });

const InstructionColumn = z.discriminatedUnion('name', [
  instructionOf('stop:process'),
  instructionOf('contain:file'),
  instructionOf('delete:file'),
  instructionOf('restore:file'),
  instructionOf('update:file'),
]) as unknown as z.ZodType<Instruction>;

export const OutcomeColumn: z.ZodType<RecordedOutcome> = Outcome.extend({
  code: z.enum([...outcomeCodes, 'unknown']),
});

const ActionRow = z
  .object({
    id: z.uuid(),
    vm: z.string(),
    finding: z.string().exactOptional(),
    instructionSet: z.string(),
    epoch: z.int().min(0),
    expires: z.int().min(0),
    instruction: jsonColumn(InstructionColumn),
    intentAt: timeColumn,
    outcome: jsonColumn(OutcomeColumn).exactOptional(),
    outcomeAt: timeColumn.exactOptional(),
    /** The journal's own. */
    tries: z.int().min(0).default(0),
  })
  .transform(({ tries: _, ...record }) => record);

export const ACTIONS = new RecordTable<ActionRecord>('actions', ActionRow);
const PAGES = { table: ACTIONS, time: 'intentAt' } as const;

export type Intent = Omit<ActionRecord, 'outcome' | 'outcomeAt'>;

export class ActionJournal {
  private readonly database: StateDatabase;
  private readonly audit: AuditLog;
  private verified = false;
  private fault: string | undefined;

  constructor(database: StateDatabase) {
    this.database = database;
    this.audit = new AuditLog(database);
  }

  /**
   * Writes down what is about to be sent. On the disk when it returns. The first call checks the whole journal:
   * upon one that was edited or damaged nothing more is acted (StoreError `corrupt`).
   */
  intent(intent: Intent): void {
    this.requireIntact();
    const columns = ACTIONS.checked(columnsOf(intent));
    this.database.transaction(() => {
      this.database.run(
        `INSERT INTO actions (id, vm, finding, instructionSet, epoch, expires, instruction, intentAt)
         VALUES (:id, :vm, :finding, :instructionSet, :epoch, :expires, :instruction, :intentAt)`,
        columns,
      );
      this.audit.append(JSON.stringify(['intent', columns]));
    });
    this.audit.sealHead();
  }

  /**
   * Closes an intent; gives the record as it is kept. An intent that is closed already keeps its first outcome,
   * and nothing is written. StoreError `not-found` when there was no intent.
   */
  outcome(id: string, outcome: RecordedOutcome, outcomeAt: number): ActionRecord {
    const columns = { id, outcome: JSON.stringify(outcome), outcomeAt };
    const closed = this.database.transaction(() => {
      const row = this.database.get('SELECT * FROM actions WHERE id = :id AND outcome IS NULL', { id });
      if (!row) return undefined;
      const changed = { ...row, ...columns };
      ACTIONS.checked(changed as Parameters);
      this.database.run(
        'UPDATE actions SET outcome = :outcome, outcomeAt = :outcomeAt WHERE id = :id',
        columns,
      );
      this.audit.append(JSON.stringify(['outcome', columns]));
      return ACTIONS.read(changed);
    });
    if (!closed) return this.get(id);
    this.audit.sealHead();
    return closed;
  }

  /** Counts one more time that an open intent was sent and no outcome of it could be had; gives how many by now. */
  tried(id: string): number {
    const tries = this.database.transaction(() => {
      const row = this.database.get(
        'UPDATE actions SET tries = tries + 1 WHERE id = :id AND outcome IS NULL RETURNING tries',
        { id },
      );
      if (!row) throw new StoreError('not-found', `no action with the id ${id} is open`);
      const { tries } = readRow('actions', z.object({ tries: z.int() }), row);
      this.audit.append(JSON.stringify(['try', { id, tries }]));
      return tries;
    });
    this.audit.sealHead();
    return tries;
  }

  get(id: string): ActionRecord {
    const found = this.find(id);
    if (!found) throw new StoreError('not-found', `no action with the id ${id} was ever written down`);
    return found;
  }

  /** Whether it was written down, readable or not. */
  has(id: string): boolean {
    return this.database.get('SELECT 1 FROM actions WHERE id = :id', { id }) !== undefined;
  }

  find(id: string): ActionRecord | undefined {
    const row = this.database.get('SELECT * FROM actions WHERE id = :id', { id });
    return row && ACTIONS.read(row);
  }

  /**
   * Intents without an outcome, of one guest or of all, oldest first: they may or may not have been carried out. One that
   * cannot be read is left out, so that the guest is looked at all the same; the journal is checked again before
   * anything more is acted.
   */
  open(vm?: string): ActionRecord[] {
    const rows = this.database.all(
      'SELECT * FROM actions WHERE (:vm IS NULL OR vm = :vm) AND outcome IS NULL ORDER BY intentAt, id',
      { vm: vm ?? null },
    );
    const open = ACTIONS.readable(this.database, rows);
    if (open.length < rows.length) this.verified = false;
    return open;
  }

  /** Those that were closed since `time` without it being known what came of them; oldest first. */
  unknown(time: number): ActionRecord[] {
    const rows = this.database.all(
      `SELECT * FROM actions WHERE outcomeAt >= :time
         AND CASE WHEN json_valid(outcome) THEN outcome ->> '$.code' = 'unknown' END
       ORDER BY intentAt, id`,
      { time },
    );
    return ACTIONS.readable(this.database, rows);
  }

  /** Newest first. */
  page(filter: { readonly vm?: string }, query: PageQuery): Page<ActionRecord> {
    return readPage(this.database, PAGES, { ...filter }, query);
  }

  /** Newest first. */
  list(filter: { readonly vm?: string; readonly finding?: string } = {}): ActionRecord[] {
    const rows = this.database.all(
      `SELECT * FROM actions
       WHERE (:vm IS NULL OR vm = :vm) AND (:finding IS NULL OR finding = :finding)
       ORDER BY intentAt DESC, id`,
      { vm: filter.vm ?? null, finding: filter.finding ?? null },
    );
    return ACTIONS.readable(this.database, rows);
  }

  /** Why nothing is acted upon any more, as far as it is known without another look; undefined when something may be. */
  get whyStopped(): string | undefined {
    return this.fault;
  }

  /**
   * What is wrong with the journal, in one sentence, or undefined: the audit log's chain, and that the actions
   * are those of the log, and can be read.
   */
  verify(): string | undefined {
    const logged: Logged = { actions: new Map(), vmActions: new Map() };
    const fault = this.audit.verify((entry) => replay(logged, entry));
    if (fault) return `the audit log has a fault of the kind "${fault.kind}" at entry ${fault.sequence}`;
    return this.differsFrom(logged, ACTIONS) ?? this.differsFrom(logged, VM_ACTION_ROWS);
  }

  private differsFrom(log: Logged, table: RecordTable<unknown>): string | undefined {
    const logged = table === ACTIONS ? log.actions : log.vmActions;
    for (const row of this.database.iterate(`SELECT * FROM ${table.name}`)) {
      const id = String(row.id);
      if (textOf(row) !== textOf(logged.get(id) ?? {})) {
        return `the action ${id} is not as the audit log has it`;
      }
      const unreadable = table.faultOf(row);
      if (unreadable) return `the action ${id} cannot be read: ${unreadable.reason}`;
      logged.delete(id);
    }
    const [missing] = logged.keys();
    return missing === undefined ? undefined : `the action ${missing} of the audit log is missing`;
  }

  /** StoreError `corrupt` when it was tampered with. Looked at once: what is written from then on is ours. */
  requireIntact(): void {
    if (this.verified) return;
    const fault = this.verify();
    this.fault = fault && `the journal was edited or is damaged: ${fault}`;
    if (fault) {
      throw new StoreError(
        'corrupt',
        `the journal was edited or is damaged: ${fault}. Nothing is acted upon until the state directory is restored from a backup or replaced`,
      );
    }
    this.verified = true;
  }
}

const columnsOf = (intent: Intent) => ({
  id: intent.id,
  vm: intent.vm,
  finding: intent.finding ?? null,
  instructionSet: intent.instructionSet,
  epoch: intent.epoch,
  expires: intent.expires,
  instruction: JSON.stringify(intent.instruction),
  intentAt: intent.intentAt,
});

const AuditEntry = z.tuple([
  z.enum(['intent', 'try', 'outcome', 'vm-intent', 'vm-outcome', 'enrolment']),
  z.looseObject({ id: z.string() }),
]);

/** What the log says that the tables hold. */
type Logged = Readonly<Record<'actions' | 'vmActions', Map<string, Row>>>;

function replay(logged: Logged, entry: string): void {
  const [kind, columns] = readRow('audit', z.object({ entry: jsonColumn(AuditEntry) }), { entry }).entry;
  // The log is shared: who was let in stands in it too (enrolments.ts).
  if (kind === 'enrolment') return;
  if (kind.startsWith('vm-')) {
    const before = logged.vmActions.get(columns.id) ?? { outcome: null, outcomeAt: null };
    logged.vmActions.set(columns.id, { ...before, ...columns });
    return;
  }
  const before = logged.actions.get(columns.id) ?? { outcome: null, outcomeAt: null, tries: 0 };
  logged.actions.set(columns.id, { ...before, ...columns });
}

/** An integer that is no safe one is a bigint, which JSON does not have. */
const textOf = (row: Row): string =>
  JSON.stringify(
    Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)),
    (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
  );
