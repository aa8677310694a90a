/**
 * The vault: the contents of contained files, on the host, in `vault/` of the state directory.
 *
 * A file's name is a random id made here; the guest's path is data in the index and never part of a host path.
 * Its content cannot run and is not found by scanners by accident: 0400, behind a header, and neutralised
 * (`neutralise.ts`; this hides nothing from anybody, nor is it meant to). SHA-256 is checked on the way in and out.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { constants, type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RestoreTarget } from '../../protocol/index.ts';
import { defaults } from '../config/index.ts';
import { StoreError } from '../error.ts';
import type { ActionRecord, RecordedOutcome, VaultRecord } from '../store/records.ts';
import { toStoreError } from '../store/sqlite-error.ts';
import type { VaultIndex } from '../store/vault-index.ts';
import { FIRST_HEADER, HEADER, mask, neutralise } from './neutralise.ts';
import { writeRuns } from './sparse.ts';
import { VaultRoom } from './vault-room.ts';

const MAY_BE_TAKEN: ReadonlySet<RecordedOutcome['code']> = new Set(['done', 'interrupted', 'unknown']);
const CHUNK_BYTES = 1024 * 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class Vault {
  private readonly directory: string;
  private readonly index: VaultIndex;
  private readonly room: VaultRoom;

  /** `stateDirectory` exists, and its database is open for changes. Without `room`, the bounds are the defaults. */
  constructor(stateDirectory: string, index: VaultIndex, room?: VaultRoom) {
    this.directory = join(stateDirectory, 'vault');
    this.index = index;
    this.room = room ?? new VaultRoom({ directory: stateDirectory, index, limits: () => defaults().vault });
  }

  /**
   * Copies content into the vault, as `arriving`; durable when it resolves. Throws StoreError or InstructionError
   * `vault-full`, and then leaves nothing behind.
   */
  async hold(contentFile: string, record: Omit<VaultRecord, 'status' | 'state'>): Promise<void> {
    const path = this.pathOf(record.id);
    this.createDirectory();
    using _place = await this.room.take(record, () => this.index.save({ ...record, status: 'arriving' }));
    try {
      await writeNeutralised(contentFile, path, record.sha256);
      await sync(this.directory);
    } catch (error) {
      await rm(path, { force: true });
      this.index.remove(record.id);
      throw toStoreError(error, this.directory);
    }
  }

  /**
   * Brings the record of a closed action in line with its outcome: contained → held, with how the file was;
   * not contained → dropped; restored → restored. Doing it again changes nothing.
   */
  async settle(action: ActionRecord): Promise<void> {
    const { instruction, outcome } = action;
    if (instruction.name === 'contain:file') {
      const record = this.index.ofAction(action.id);
      if (record?.status !== 'arriving') return;
      // But for `done`, the file may be in its place all the same; or ours may be the only copy.
      const mayBeTaken = outcome && MAY_BE_TAKEN.has(outcome.code);
      if (!mayBeTaken) await this.drop(record);
      else this.index.save({ ...record, status: 'held', ...(outcome.state && { state: outcome.state }) });
    } else if (instruction.name === 'restore:file' && outcome?.code === 'done') {
      const record = this.heldFor(action, instruction.target);
      if (record) this.index.save({ ...record, status: 'restored' });
    }
  }

  /** Drops what was stored for a command that never came to be: a crash between the two. */
  async dropUnclaimed(vm: string, isIntended: (action: string) => boolean): Promise<void> {
    for (const record of this.index.list({ vm, status: 'arriving' })) {
      if (!isIntended(record.action)) await this.drop(record);
    }
  }

  /** Drops what was stored for a command that never came to be. StoreError. */
  async abandon(action: string): Promise<void> {
    const record = this.index.ofAction(action);
    if (record?.status === 'arriving') await this.drop(record);
  }

  /**
   * The content as it was in the guest. Throws StoreError `not-found`, or `corrupt` at the end of it when it
   * is not what was stored.
   */
  async *open(id: string): AsyncGenerator<Uint8Array> {
    const { sha256 } = this.index.get(id);
    const path = this.pathOf(id);
    await using file = await openStored(path);
    const { start, restore } = await formatOf(file, path);
    const hash = createHash('sha256');
    for await (const chunk of read(file, start)) {
      restore(chunk);
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest('hex') !== sha256) throw damaged(path);
  }

  /** Removes the content for good; the record stays, as `purged`. Nothing may be at work upon it. StoreError `not-found`. */
  async purge(id: string): Promise<VaultRecord> {
    const record = this.index.get(id);
    const purged: VaultRecord = { ...record, status: 'purged' };
    await rm(this.pathOf(id), { force: true });
    this.index.save(purged);
    return purged;
  }

  get(id: string): VaultRecord {
    return this.index.get(id);
  }

  private createDirectory(): void {
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw toStoreError(cause, this.directory);
    }
  }

  private async drop(record: VaultRecord): Promise<void> {
    await rm(this.pathOf(record.id), { force: true });
    this.index.remove(record.id);
  }

  /** Of its finding, wherever it was put; one that has none is known by its place. */
  private heldFor({ vm, finding }: ActionRecord, target: RestoreTarget): VaultRecord | undefined {
    const same = this.index.list({ vm, status: 'held' }).filter(({ sha256 }) => sha256 === target.sha256);
    const path = JSON.stringify(target.path);
    return finding === undefined
      ? same.find((record) => JSON.stringify(record.path) === path)
      : same.find((record) => record.finding === finding);
  }

  /** The one place where a host path is made from an id. */
  private pathOf(id: string): string {
    if (!UUID.test(id)) throw new StoreError('not-found', 'a vault id is a UUID in lower case');
    return join(this.directory, id);
  }
}

async function writeNeutralised(from: string, to: string, sha256: string): Promise<void> {
  await using source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW);
  await using target = await open(to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o400);
  const hash = createHash('sha256');
  await writeRuns(target, HEADER, 0);
  let at = HEADER.length;
  for await (const chunk of read(source, 0)) {
    hash.update(chunk);
    neutralise(chunk);
    await writeRuns(target, chunk, at);
    at += chunk.length;
  }
  if (hash.digest('hex') !== sha256) {
    throw new StoreError('corrupt', 'what was to be contained is not what was judged: it was not taken');
  }
  // It may end in a hole.
  await target.truncate(at);
  await target.sync();
}

/** The file's chunks from `position` on, each a whole number of blocks but for the last; the caller's to keep and change. */
async function* read(file: FileHandle, position: number): AsyncGenerator<Buffer> {
  for (let at = position; ; ) {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let length = 0;
    while (length < CHUNK_BYTES) {
      const { bytesRead } = await file.read(buffer, length, CHUNK_BYTES - length, at + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > 0) yield buffer.subarray(0, length);
    if (length < CHUNK_BYTES) return;
    at += length;
  }
}

async function sync(directory: string): Promise<void> {
  await using handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  await handle.sync();
}

async function openStored(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw new StoreError('not-found', `the vault has no content any more at ${path}`, { cause });
    }
    throw toStoreError(cause, path);
  }
}

/** How the content lies in a file of the vault: as now, or as the first release wrote it. */
async function formatOf(
  file: FileHandle,
  path: string,
): Promise<{ start: number; restore: (bytes: Buffer) => void }> {
  const header = Buffer.alloc(HEADER.length);
  const { bytesRead } = await file.read(header, 0, header.length, 0);
  if (bytesRead === HEADER.length && header.equals(HEADER)) {
    return { start: HEADER.length, restore: neutralise };
  }
  const begins = header.subarray(0, Math.min(bytesRead, FIRST_HEADER.length));
  if (begins.equals(FIRST_HEADER)) return { start: FIRST_HEADER.length, restore: mask };
  throw damaged(path);
}

const damaged = (path: string): StoreError =>
  new StoreError(
    'corrupt',
    `${path} is damaged: it is not what was put into the vault. Restore it from a backup`,
  );
