/** What an operator does with contained files. */
import { decodeBytes, displayBytes, type FileState } from '../../protocol/index.ts';
import { InstructionError, StoreError } from '../error.ts';
import type { VaultRecord } from '../store/records.ts';
import { type ActingGuest, type ActionExecutor, type ClosedAction, requireAllowed } from './execute.ts';
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
   * Puts a contained file back into its guest as it was. Throws StoreError, ChannelError, and InstructionError
   * (`refused` when the guest would not have it, for instance since another file stands there).
   */
  async restore(guest: ActingGuest, id: string, signal?: AbortSignal): Promise<ClosedAction> {
    const record = this.restorable(id);
    if (record.status === 'arriving') throw notSettled(id);
    if (record.vm !== guest.vm.id) {
      throw new InstructionError(
        'refused',
        `${id} was not taken from this guest: it goes back where it came from`,
      );
    }
    const target = { path: record.path, sha256: record.sha256, state: record.state ?? UNKNOWN_STATE };
    const instruction = { name: 'restore:file', target } as const;
    requireAllowed(guest, instruction);
    await guest.session.stage(record.sha256, this.vault.open(id), signal);
    const { finding } = record;
    const request = { instruction, ...(finding !== undefined && { finding }) };
    const action = await this.executor.perform(guest, request, signal);
    if (action.outcome.code !== 'done') throw refused(record, action);
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

const refused = ({ path }: VaultRecord, { outcome }: ClosedAction): InstructionError =>
  new InstructionError(
    'refused',
    `the guest did not restore ${displayBytes(decodeBytes(path))}: ${outcome.code}${
      outcome.code === 'occupied' ? ' (another file stands there: move it away first)' : ''
    }`,
  );
