/** What an operator does with contained files. */
import {
  decodeBytes,
  displayBytes,
  displayText,
  type FileState,
  type GuestPath,
  type WireBytes,
} from '../../protocol/index.ts';
import { InstructionError, StoreError } from '../error.ts';
import type { VaultRecord } from '../store/records.ts';
import { type ActingGuest, type ActionExecutor, type ClosedAction, requireAllowed } from './execute.ts';
import { NeverTouch } from './never-touch.ts';
import { explain } from './obstacles.ts';
import type { Vault } from './vault.ts';

/** Where the outcome of the containment did not say how the file was: root's own, closed to all others. */
const UNKNOWN_STATE: FileState = {
  mode: 0o600,
  uid: 0,
  gid: 0,
  atime: '0.000000000',
  mtime: '0.000000000',
  xattrs: [],
};

export interface RestoreOptions {
  /** Where in the same guest; default: where it was. Nothing may stand there, and its directory must. */
  readonly to?: GuestPath | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Quarantine {
  private readonly vault: Vault;
  private readonly executor: ActionExecutor;

  constructor(vault: Vault, executor: ActionExecutor) {
    this.vault = vault;
    this.executor = executor;
  }

  /** The record of something that can be restored, once it is settled. StoreError `not-found` says why it cannot. */
  restorable(id: string): VaultRecord {
    const record = this.vault.get(id);
    if (record.status === 'held' || record.status === 'arriving') return record;
    throw new StoreError('not-found', `${id} cannot be restored: it is ${WHY_NOT[record.status]}`);
  }

  /**
   * Puts a contained file back into its guest as it was, or elsewhere in it. Throws StoreError, ChannelError, and InstructionError
   * (`refused` when the guest would not have it, for instance since another file stands there).
   */
  async restore(guest: ActingGuest, id: string, { to, signal }: RestoreOptions = {}): Promise<ClosedAction> {
    const record = this.restorable(id);
    if (record.status === 'arriving') throw notSettled(id);
    if (record.vm !== guest.vm.id) {
      throw new InstructionError(
        'refused',
        `${id} was not taken from this guest: it goes back where it came from`,
      );
    }
    if (to) requirePlace(guest, to, record);
    const path = to?.wire ?? record.path;
    const target = { path, sha256: record.sha256, state: record.state ?? UNKNOWN_STATE };
    const instruction = { name: 'restore:file', target } as const;
    requireAllowed(guest, instruction);
    await guest.session.stage(record.sha256, this.vault.open(id), signal);
    const { finding } = record;
    const request = { instruction, ...(finding !== undefined && { finding }) };
    const action = await this.executor.perform(guest, request, signal);
    if (action.outcome.code !== 'done') throw refused(path, action);
    return action;
  }

  /**
   * Removes the content of a contained file from the vault for good. The guest of one whose containment is not
   * settled is asked no more: gives that action, closed. StoreError; `in-use` while it is being contained.
   */
  async purge(id: string): Promise<ClosedAction | undefined> {
    const { status, action } = this.vault.get(id);
    const closed = status === 'arriving' ? await this.executor.giveUp(action) : undefined;
    await this.vault.purge(id);
    return closed;
  }
}

const notSettled = (id: string): StoreError =>
  new StoreError(
    'in-use',
    `${id} is not settled: its guest has not told what came of its containment, and is asked at each try. Try again, or get its content with lazaret quarantine export`,
  );

const WHY_NOT = {
  restored: 'back in its guest already',
  purged: 'purged',
} as const;

/**
 * Where it was nothing is protected, or it would not have been contained. Elsewhere, what was judged malicious must not
 * come to lie among what the guest boots with or logs people in by, where a name alone can have it run.
 */
function requirePlace(guest: ActingGuest, to: GuestPath, { sha256 }: VaultRecord): void {
  if (to.name.length === 0) {
    throw new InstructionError(
      'refused',
      `${to.display()} names a directory: name the file that it shall be`,
    );
  }
  const nowhere = { path: to.wire, dev: '0', ino: '0', sha256 };
  const neverTouch = guest.neverTouch ?? new NeverTouch();
  const reason = neverTouch.reason({ name: 'delete:file', target: nowhere });
  if (reason !== undefined) {
    throw new InstructionError(
      'protected',
      `nothing is put at ${to.display()}: ${reason}; choose another place`,
    );
  }
}

const refused = (path: WireBytes, { outcome }: ClosedAction): InstructionError =>
  new InstructionError(
    'refused',
    `the guest did not restore ${displayBytes(decodeBytes(path))}: ${displayText(explain('restore:file', outcome))}`,
  );
