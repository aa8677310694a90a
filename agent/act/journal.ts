/**
 * What the host ordered and what came of it, one file to a command: the intent, durable before anything is
 * done, and the outcome, durable before anything is beyond undoing. A repeated command gets its first outcome,
 * also after a restart; one that was begun and has no outcome is found at the next start.
 *
 *   commands/NUMBER-ID.begun   a line of Intent, lines of OwedFlags as attributes are lifted, perhaps a line of Outcome
 *   commands/NUMBER-ID.done    both lines, and nothing is left to do
 *
 * NUMBER counts up, so that the oldest are known by name and dropped when there are too many.
 */
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ACTING, Outcome, wireBytes } from '../../protocol/index.ts';
import { syncDirectory } from '../state.ts';
import { OwedFlags } from './lifted-flags.ts';

export const MOST_COMMANDS = 10_000;

/** What must be known to tidy up after an agent that died: where it worked, and with what. */
export const Intent = z.strictObject({
  id: z.uuid(),
  name: z.enum(ACTING),
  path: wireBytes.optional(),
  /** Name of the private directory beside it. */
  workplace: z.string().optional(),
  /** SHA-256 of the content that is put in place. */
  content: z.string().nullable().optional(),
});
export type Intent = z.output<typeof Intent>;

export interface Unfinished {
  readonly intent: Intent;
  /** Present when only tidying up was left. */
  readonly outcome?: Outcome;
  /** Attributes that were lifted, or that a new file is to have. They may be in place already. */
  readonly owed: readonly OwedFlags[];
}

const Owing = z.strictObject({ owed: OwedFlags });

/** What is told of a command whose outcome stands here and cannot be read: it was carried out, and not again. */
const UNREADABLE: Outcome = { code: 'interrupted', detail: 'what it came to cannot be read any more' };

/** Attributes are about to be lifted. Durable when it returns. `ledger`: see `Journal.ledgerOf`. */
export const owe = (ledger: string, owed: OwedFlags): void => append(ledger, { owed });

function append(file: string, line: unknown): void {
  const descriptor = openSync(file, 'a', 0o600);
  try {
    // What was being written when an agent died must not swallow this line.
    appendFileSync(descriptor, `\n${JSON.stringify(line)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const NAME = /^(\d{12})-([0-9a-f-]{36})\.(begun|done)$/;

export class Journal {
  private readonly directory: string;
  private readonly most: number;
  /** Command id → file name without its ending, oldest first. */
  private readonly files = new Map<string, string>();
  private readonly begun = new Set<string>();
  private next = 0;

  constructor(state: string, most = MOST_COMMANDS) {
    this.directory = join(state, 'commands');
    this.most = most;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    for (const file of readdirSync(this.directory).sort()) {
      const [, number, id, ending] = NAME.exec(file) ?? [];
      if (!number || !id) continue;
      this.files.set(id, `${number}-${id}`);
      if (ending === 'begun') this.begun.add(id);
      this.next = Number(number) + 1;
    }
  }

  /** What this command came to when it was first given; undefined when it is new, or not finished. */
  outcomeOf(id: string): Outcome | undefined {
    return this.files.has(id) ? this.read(id)?.outcome : undefined;
  }

  /** Commands that the last run of the agent did not bring to their end. */
  unfinished(): Unfinished[] {
    return [...this.begun].flatMap((id) => {
      const record = this.read(id);
      // Without a whole intent nothing had been done yet.
      if (!record) this.forget(id);
      return record ? [record] : [];
    });
  }

  begin(intent: Intent): void {
    const name = `${String(this.next++).padStart(12, '0')}-${intent.id}`;
    this.append(`${name}.begun`, intent);
    syncDirectory(this.directory);
    this.files.set(intent.id, name);
    this.begun.add(intent.id);
    this.dropOldest();
  }

  /** Where a hand that carries out this command writes down what it owes (`owe`). */
  ledgerOf(id: string): string {
    return join(this.directory, `${this.nameOf(id)}.begun`);
  }

  /** Attributes that were lifted for a command that is not finished. */
  owedBy(id: string): readonly OwedFlags[] {
    return this.read(id)?.owed ?? [];
  }

  /** From here on this is the outcome, whatever happens. */
  settle(id: string, outcome: Outcome): void {
    this.append(`${this.nameOf(id)}.begun`, outcome);
  }

  /** Nothing is left to do. */
  finish(id: string): void {
    const path = join(this.directory, this.nameOf(id));
    renameSync(`${path}.begun`, `${path}.done`);
    syncDirectory(this.directory);
    this.begun.delete(id);
  }

  /** No command is under way, or was left behind by an agent that died. */
  get isFinished(): boolean {
    return this.begun.size === 0;
  }

  /** Forgets all commands, which must be finished. */
  clear(): void {
    if (!this.isFinished) throw new Error('a command is not finished');
    for (const id of [...this.files.keys()]) this.forget(id);
    syncDirectory(this.directory);
  }

  private nameOf(id: string): string {
    const name = this.files.get(id);
    if (name === undefined) throw new Error(`the command ${id} was never begun`);
    return name;
  }

  private append(file: string, line: unknown): void {
    append(join(this.directory, file), line);
  }

  private read(id: string): Unfinished | undefined {
    const ending = this.begun.has(id) ? 'begun' : 'done';
    const text = readFileSync(join(this.directory, `${this.nameOf(id)}.${ending}`), 'utf8');
    // A line without its newline was being written when the agent died.
    const [intentLine, ...lines] = text.split('\n').slice(0, -1).flatMap(whole);
    if (intentLine === undefined) return undefined;
    const intent = Intent.parse(intentLine);
    const owings = lines.map((line) => Owing.safeParse(line));
    const owed = owings.flatMap(({ data }) => (data ? [data.owed] : []));
    const outcomeLine = lines.findLast((_, index) => !owings[index]?.success);
    if (outcomeLine === undefined && ending === 'begun') return { intent, owed };
    return { intent, owed, outcome: Outcome.safeParse(outcomeLine).data ?? UNREADABLE };
  }

  private forget(id: string): void {
    const path = join(this.directory, this.nameOf(id));
    rmSync(`${path}.${this.begun.has(id) ? 'begun' : 'done'}`, { force: true });
    this.files.delete(id);
    this.begun.delete(id);
  }

  private dropOldest(): void {
    for (const id of this.files.keys()) {
      if (this.files.size <= this.most) return;
      if (!this.begun.has(id)) this.forget(id);
    }
  }
}

/** The line's value; none for one that was cut off, upon which nothing was done yet. */
function whole(line: string): unknown[] {
  try {
    return line === '' ? [] : [JSON.parse(line)];
  } catch {
    return [];
  }
}
