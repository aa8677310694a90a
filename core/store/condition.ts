/**
 * Whether the database does what it is there for, tried and not assumed: each table can be read, a write is on the disk
 * when it returns, the schema is this release's, and the journal lets act.
 */
import { describeError } from '../error.ts';
import type { ActionJournal } from './action-journal.ts';
import type { StateDatabase } from './database.ts';
import type { LeftOutRow } from './left-out.ts';
import { MIGRATIONS } from './migrations.ts';

/** A write costs a sync of the disk: whoever asks more often is told of the last one. */
const WRITE_AGAIN_MS = 5_000;

export interface ConditionParts {
  readonly database: StateDatabase;
  readonly journal: Pick<ActionJournal, 'whyStopped'>;
  /** What must be readable, each by what reads it for others. */
  readonly listings: Readonly<Record<string, () => unknown>>;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export class StateCondition {
  private readonly parts: ConditionParts;
  private written: { readonly at: number; readonly fault: string | undefined } | undefined;

  constructor(parts: ConditionParts) {
    this.parts = parts;
  }

  /** What is in the way, each in a sentence; nothing when all is well. Does not throw. */
  reasons(): string[] {
    const { database, listings, journal } = this.parts;
    const faults = Object.entries(listings).map(([what, list]) => faultOf(`${what} cannot be read`, list));
    const checks = [
      ...faults,
      faultOf('the database is not as this release has it', () => requireVersion(database.version)),
      this.whyNotWritten(),
      journal.whyStopped,
    ];
    return checks.filter((fault) => fault !== undefined);
  }

  /** A row that another reader of the same file could not read: told of with those met here, once. */
  leaveOut(row: LeftOutRow): void {
    this.parts.database.leaveOut(row);
  }

  private whyNotWritten(): string | undefined {
    const { database, clock } = this.parts;
    const at = clock();
    const age = this.written && at - this.written.at;
    if (age === undefined || age < 0 || age >= WRITE_AGAIN_MS) {
      const write = () => database.run('UPDATE writeProbe SET at = :at', { at });
      this.written = { at, fault: faultOf('the database cannot be written', write) };
    }
    return this.written?.fault;
  }
}

function requireVersion(version: number): void {
  if (version !== MIGRATIONS.length)
    throw new Error(`its version is ${version}, this release has ${MIGRATIONS.length}: restart the service`);
}

function faultOf(what: string, work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return `${what}: ${describeError(error).message}`;
  }
}
