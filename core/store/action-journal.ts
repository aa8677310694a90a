/**
 * What was asked of guests and what became of it. An intent is on the disk before the guest hears of it
 * (invariant B); its outcome closes it, once (invariant C). Both also go into the audit log, in the same
 * transaction.
 */
import { z } from 'zod';
import { type Instruction, Outcome, TARGETS } from '../../protocol/index.ts';
import { StoreError } from '../error.ts';
import { AuditLog } from './audit.ts';
import type { Row, StateDatabase } from './database.ts';
import { type Page, type PageQuery, readPage } from './page.ts';
import type { ActionRecord } from './records.ts';
import { jsonColumn, readRow, timeColumn } from './rows.ts';

const instructionOf = <Name extends Instruction['name']>(name: Name) =>
  z.object({ name: z.literal(name), target: TARGETS[name] });

const InstructionColumn = z.discriminatedUnion('name', [
  instructionOf('stop:process'),
  instructionOf('contain:file'),
  instructionOf('delete:file'),
  instructionOf('restore:file'),
  instructionOf('update:file'),
]) as unknown as z.ZodType<Instruction>;

const ActionRow = z.object({
  id: z.uuid(),
  vm: z.string(),
  finding: z.string().exactOptional(),
  instructionSet: z.string(),
  epoch: z.int().min(0),
  expires: z.int().min(0),
  instruction: jsonColumn(InstructionColumn),
  intentAt: timeColumn,
  outcome: jsonColumn(Outcome).exactOptional(),
  outcomeAt: timeColumn.exactOptional(),
});

const read = (row: Row): ActionRecord => readRow('actions', ActionRow, row);

export type Intent = Omit<ActionRecord, 'outcome' | 'outcomeAt'>;

export class ActionJournal {
  private readonly database: StateDatabase;
  private readonly audit: AuditLog;
  private verified = false;

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
    this.database.transaction(() => {
      this.database.run(
        `INSERT INTO actions (id, vm, finding, instructionSet, epoch, expires, instruction, intentAt)
         VALUES (:id, :vm, :finding, :instructionSet, :epoch, :expires, :instruction, :intentAt)`,
        { ...columnsOf(intent) },
      );
      this.audit.append(JSON.stringify(['intent', columnsOf(intent)]));
    });
    this.audit.sealHead();
  }

  /**
   * Closes an intent; gives the record as it is kept. An intent that is closed already keeps its first outcome,
   * and nothing is written. StoreError `not-found` when there was no intent.
   */
  outcome(id: string, outcome: Outcome, outcomeAt: number): ActionRecord {
    const columns = { id, outcome: JSON.stringify(outcome), outcomeAt };
    const closed = this.database.transaction(() => {
      const row = this.database.get(
        `UPDATE actions SET outcome = :outcome, outcomeAt = :outcomeAt
         WHERE id = :id AND outcome IS NULL RETURNING *`,
        columns,
      );
      if (row) this.audit.append(JSON.stringify(['outcome', columns]));
      return row;
    });
    if (!closed) return this.get(id);
    this.audit.sealHead();
    return read(closed);
  }

  get(id: string): ActionRecord {
    const found = this.find(id);
    if (!found) throw new StoreError('not-found', `no action with the id ${id} was ever written down`);
    return found;
  }

  find(id: string): ActionRecord | undefined {
    const row = this.database.get('SELECT * FROM actions WHERE id = :id', { id });
    return row && read(row);
  }

  /** Intents without an outcome, oldest first: the guest may or may not have carried them out. */
  open(vm: string): ActionRecord[] {
    return this.database
      .all('SELECT * FROM actions WHERE vm = :vm AND outcome IS NULL ORDER BY intentAt, id', { vm })
      .map(read);
  }

  /** Newest first. */
  page(filter: { readonly vm?: string }, query: PageQuery): Page<ActionRecord> {
    return readPage(this.database, { table: 'actions', time: 'intentAt', read }, { ...filter }, query);
  }

  /** Newest first. */
  list(filter: { readonly vm?: string; readonly finding?: string } = {}): ActionRecord[] {
    return this.database
      .all(
        `SELECT * FROM actions
         WHERE (:vm IS NULL OR vm = :vm) AND (:finding IS NULL OR finding = :finding)
         ORDER BY intentAt DESC, id`,
        { vm: filter.vm ?? null, finding: filter.finding ?? null },
      )
      .map(read);
  }

  /**
   * What is wrong with the journal, in one sentence, or undefined: the audit log's chain, and that the actions
   * are those of the log.
   */
  verify(): string | undefined {
    const logged: Logged = { actions: new Map(), vmActions: new Map() };
    const fault = this.audit.verify((entry) => replay(logged, entry));
    if (fault) return `the audit log has a fault of the kind "${fault.kind}" at entry ${fault.sequence}`;
    return this.differsFrom(logged, 'actions') ?? this.differsFrom(logged, 'vmActions');
  }

  private differsFrom(log: Logged, table: keyof Logged): string | undefined {
    const logged = log[table];
    for (const row of this.database.iterate(`SELECT * FROM ${table}`)) {
      const id = String(row.id);
      if (JSON.stringify(sorted(row)) !== JSON.stringify(sorted(logged.get(id) ?? {}))) {
        return `the action ${id} is not as the audit log has it`;
      }
      logged.delete(id);
    }
    const [missing] = logged.keys();
    return missing === undefined ? undefined : `the action ${missing} of the audit log is missing`;
  }

  /** StoreError `corrupt` when it was tampered with. Looked at once: what is written from then on is ours. */
  requireIntact(): void {
    if (this.verified) return;
    const fault = this.verify();
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
  z.enum(['intent', 'outcome', 'vm-intent', 'vm-outcome', 'enrolment']),
  z.looseObject({ id: z.string() }),
]);

/** What the log says that the tables hold. */
type Logged = Readonly<Record<'actions' | 'vmActions', Map<string, Row>>>;

function replay(logged: Logged, entry: string): void {
  const [kind, columns] = readRow('audit', z.object({ entry: jsonColumn(AuditEntry) }), { entry }).entry;
  // The log is shared: who was let in stands in it too (enrolments.ts).
  if (kind === 'enrolment') return;
  const actions = kind.startsWith('vm-') ? logged.vmActions : logged.actions;
  actions.set(columns.id, { outcome: null, outcomeAt: null, ...actions.get(columns.id), ...columns });
}

const sorted = (row: Row): unknown => Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1));
