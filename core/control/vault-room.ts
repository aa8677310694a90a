/**
 * How much the vault takes. Guests decide how much malware there is, so what is kept of it has bounds: for each VM, for
 * all, by number and by bytes, and a floor of free space that is left to the database.
 *
 * What lies there is counted from the vault's index whenever more is to come: there is no figure beside it that could
 * drift. Only what is being written at this moment is kept here, as it is not on the disk yet.
 */
import { statfs as statfsOf } from 'node:fs/promises';
import { displayText } from '../../protocol/index.ts';
import type { Settings } from '../config/index.ts';
import { InstructionError } from '../error.ts';
import { toStoreError } from '../store/sqlite-error.ts';
import type { VaultIndex, VaultUse } from '../store/vault-index.ts';

export type VaultLimits = Settings['vault'];

/** Of the file system in which the vault lies, in bytes. */
export interface DiskFacts {
  readonly size: number;
  readonly free: number;
}

export interface VaultRoomParts {
  /** The state directory. */
  readonly directory: string;
  readonly index: Pick<VaultIndex, 'stored' | 'takenBetween'>;
  /** Those that hold now. */
  readonly limits: () => VaultLimits;
  /** Called when a VM's files are taken no more, with why, and when they are again. */
  readonly onChange?: (vm: string, whyFull: string | undefined) => void;
  /** Rejects with an error of the file system. */
  readonly disk?: (directory: string) => Promise<DiskFacts>;
}

export interface NewContent {
  readonly vm: string;
  readonly size: number;
  /** Now, in milliseconds since 1970. */
  readonly at: number;
}

const HOUR = 3_600_000;
/** Of the file system, for all VMs; and of that, for one. */
const SHARE_OF_DISK = 1 / 2;
const SHARE_OF_VM = 1 / 4;

export class VaultRoom {
  private readonly parts: VaultRoomParts;
  /** Bytes that are being written. */
  private arriving = 0;
  private readonly full = new Set<string>();
  #refused = 0;

  constructor(parts: VaultRoomParts) {
    this.parts = parts;
  }

  /** How often something was not taken, since this process started. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * A place for new content, held until it is disposed of; `register` writes it into the index, in the same turn as the
   * room was found. Rejects with InstructionError `vault-full`, or with StoreError.
   */
  async take(content: NewContent, register: () => void): Promise<Disposable> {
    const disk = await this.disk();
    const why = this.whyFull(content, disk);
    this.note(content.vm, why);
    if (why !== undefined) {
      this.#refused += 1;
      throw new InstructionError('vault-full', why);
    }
    this.arriving += content.size;
    const place = { [Symbol.dispose]: () => this.arrived(content) };
    try {
      register();
      return place;
    } catch (error) {
      place[Symbol.dispose]();
      throw error;
    }
  }

  /** In words that stay the same as long as the reason does: findings are told anew when theirs changes. */
  private whyFull({ vm, size, at }: NewContent, disk: DiskFacts): string | undefined {
    const { index, directory } = this.parts;
    const limits = this.parts.limits();
    const bytes = bytesFor(limits, disk);
    const all = index.stored();
    const own = index.stored(vm);
    const ofVm = `lazaret quarantine list --all --vm ${displayText(vm)}`;
    if (disk.free - this.arriving - size < limits.keepFree)
      return full(`${directory} would have too little free space left`, 'vault.keepFree', limits.keepFree);
    const bounds: readonly (readonly [string, VaultUse, VaultUse, string])[] = [
      ['all VMs may have', all, { files: limits.maxFiles, bytes: bytes.all }, 'vault'],
      [`this VM may have (${ofVm})`, own, { files: limits.perVm.maxFiles, bytes: bytes.vm }, 'vault.perVm'],
    ];
    for (const [whose, has, most, key] of bounds) {
      if (has.files + 1 > most.files)
        return full(`it has the files that ${whose}`, `${key}.maxFiles`, most.files);
      if (has.bytes + size > most.bytes)
        return full(`it has the bytes that ${whose}`, `${key}.maxBytes`, most.bytes);
    }
    const lately = index.takenBetween(vm, at - HOUR, at);
    if (lately < limits.perVm.filesPerHour) return undefined;
    return `not contained: of this VM, ${limits.perVm.filesPerHour} files are contained within an hour (vault.perVm.filesPerHour). A later scan goes on with it`;
  }

  private arrived({ size }: NewContent): void {
    this.arriving -= size;
  }

  private note(vm: string, why: string | undefined): void {
    if ((why !== undefined) === this.full.has(vm)) return;
    if (why === undefined) this.full.delete(vm);
    else this.full.add(vm);
    this.parts.onChange?.(vm, why);
  }

  private async disk(): Promise<DiskFacts> {
    const { directory, disk = diskFacts } = this.parts;
    try {
      return await disk(directory);
    } catch (cause) {
      throw toStoreError(cause, directory);
    }
  }
}

/** What the limits come to in bytes, for all VMs and for one. */
export function bytesFor(
  { maxBytes, perVm }: VaultLimits,
  { size }: Pick<DiskFacts, 'size'>,
): { all: number; vm: number } {
  const all = maxBytes ?? Math.floor(size * SHARE_OF_DISK);
  return { all, vm: perVm.maxBytes ?? Math.floor(all * SHARE_OF_VM) };
}

export async function diskFacts(directory: string): Promise<DiskFacts> {
  const { bsize, blocks, bavail } = await statfsOf(directory);
  return { size: blocks * bsize, free: bavail * bsize };
}

const full = (has: string, key: string, most: number): string =>
  `not contained, the vault is full: ${has}, and ${key} is ${most}. Remove what is not needed any more (lazaret quarantine purge ID), or raise ${key}`;
