/** Looks at every row of the tables that hold records, as `lazaret doctor` does. Nothing is changed. */
import { ACTIONS } from './action-journal.ts';
import type { StateDatabase } from './database.ts';
import { PENDING, TOKENS_KEPT } from './enrolments.ts';
import { FINDINGS } from './findings.ts';
import type { LeftOutRow } from './left-out.ts';
import { PACKS } from './packs.ts';
import { PATCHES } from './patches.ts';
import type { RecordTable } from './rows.ts';
import { SCANS } from './scans.ts';
import { VAULT } from './vault-index.ts';
import { VM_ACTION_ROWS } from './vm-action-journal.ts';
import { VMS } from './vms.ts';

/**
 * What is known of contents and listings is not among them: a row of those that cannot be read is as if it were not
 * there, and is written anew. Nor is the audit log, whose chain is checked as a whole.
 */
const TABLES: readonly RecordTable<unknown>[] = [
  ...[VMS, SCANS, FINDINGS, ACTIONS, VM_ACTION_ROWS, VAULT, PATCHES, PACKS, TOKENS_KEPT, PENDING],
];

/** Those that cannot be read, one by one. Throws StoreError. */
export function* unreadableRows(database: StateDatabase): Generator<LeftOutRow> {
  for (const table of TABLES) {
    for (const row of database.iterate(`SELECT * FROM ${table.name}`)) {
      const fault = table.faultOf(row);
      if (fault) yield { table: table.name, ...fault };
    }
  }
}
