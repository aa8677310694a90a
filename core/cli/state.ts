/** The state directory to look at, whoever else works on it; no plugin is started for that. */
import { StoreError } from '../error.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { EnrolmentStore } from '../store/enrolments.ts';
import { FindingStore } from '../store/findings.ts';
import type { LeftOutRow } from '../store/left-out.ts';
import { PackStore } from '../store/packs.ts';
import { PatchStore } from '../store/patches.ts';
import { unreadableRows } from '../store/unreadable.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { VmActionJournal } from '../store/vm-action-journal.ts';
import { VmStore } from '../store/vms.ts';

export class State {
  readonly vms: VmStore;
  readonly enrolments: EnrolmentStore;
  readonly findings: FindingStore;
  readonly journal: ActionJournal;
  readonly vmActions: VmActionJournal;
  readonly vault: VaultIndex;
  readonly patches: PatchStore;
  readonly packs: PackStore;
  private readonly database: StateDatabase;

  private constructor(database: StateDatabase) {
    this.database = database;
    this.vms = new VmStore(database);
    this.enrolments = new EnrolmentStore(database);
    this.findings = new FindingStore(database);
    this.journal = new ActionJournal(database);
    this.vmActions = new VmActionJournal(database, this.journal);
    this.vault = new VaultIndex(database);
    this.patches = new PatchStore(database);
    this.packs = new PackStore(database);
  }

  /** Undefined when nothing was ever kept there. Throws StoreError. */
  static read(directory: string): State | undefined {
    try {
      return new State(StateDatabase.read(directory));
    } catch (error) {
      if (error instanceof StoreError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** Rows that cannot be read. Throws StoreError. */
  unreadable(): Iterable<LeftOutRow> {
    return unreadableRows(this.database);
  }

  [Symbol.dispose](): void {
    this.database.close();
  }
}
