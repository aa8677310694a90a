import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, unlinkSync, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { ContentSummary, DigestName } from '../api/index.ts';
import { ScanError } from '../error.ts';

const writeLater = promisify(write);

/** Bytes of `ContentSummary.head`. */
const HEAD_BYTES = 32;

export interface Content extends ContentSummary {
  /** A host file, to be read only. */
  readonly path: string;
  /** Removes the file and gives its room back. May be called again. */
  release(): void;
}

export interface ArrivalParts {
  /** The host file that is made for it. */
  readonly path: string;
  /** The bytes that it has room for. */
  readonly reserved: number;
  readonly digests: readonly DigestName[];
  /** A write may take long, as disks do: it is then done beside everything else. */
  readonly slow: boolean;
  giveBack(bytes: number): void;
  /** Called once, when nothing of it is left in the spool. */
  onGone(): void;
}

/** A content on its way into the spool; hashed as it comes. Ends with `finish` or `discard`. */
export class Arrival {
  private readonly parts: ArrivalParts;
  private readonly hashes: (readonly [DigestName, Hash])[];
  private reserved: number;
  private size = 0;
  private head: Buffer = Buffer.alloc(0);
  private descriptor: number | undefined;
  private writing: Promise<void> | undefined;
  private made = false;
  private gone = false;

  constructor(parts: ArrivalParts) {
    this.parts = parts;
    this.reserved = parts.reserved;
    const names = new Set<DigestName>(['sha256', ...parts.digests]);
    this.hashes = [...names].map((name) => [name, createHash(name)] as const);
  }

  /**
   * Takes the next bytes; the caller may reuse them when it returns or, where it gives a promise, when that is
   * settled. Only then may the next be given. Throws or rejects with ScanError `spool-failed`.
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    this.size += bytes.length;
    if (this.size > this.reserved) {
      throw new ScanError(
        'spool-failed',
        `a content has more than the ${this.reserved} bytes that it announced`,
      );
    }
    if (this.head.length < HEAD_BYTES) {
      this.head = Buffer.concat([this.head, bytes.subarray(0, HEAD_BYTES - this.head.length)]);
    }
    for (const [, hash] of this.hashes) hash.update(bytes);
    const descriptor = this.open();
    if (this.parts.slow) return this.writeSlowly(descriptor, bytes);
    this.translating(() => {
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    });
    return undefined;
  }

  finish(): Content {
    this.open();
    this.closeFile();
    this.parts.giveBack(this.reserved - this.size);
    this.reserved = this.size;
    const digests = Object.fromEntries(this.hashes.map(([name, hash]) => [name, hash.digest('hex')]));
    const { size, head } = this;
    const { path } = this.parts;
    return { path, size, head, digests: digests as Content['digests'], release: () => this.discard() };
  }

  /** Removes what there is of it. May be called again. */
  discard(): void {
    if (this.gone) return;
    this.gone = true;
    this.closeFile();
    if (this.made) unlinkSync(this.parts.path);
    this.parts.giveBack(this.reserved);
    this.parts.onGone();
  }

  private open(): number {
    if (this.gone) throw takenBack();
    this.translating(() => {
      this.descriptor ??= openSync(this.parts.path, 'wx', 0o400);
    });
    this.made = true;
    return this.descriptor as number;
  }

  private async writeSlowly(descriptor: number, bytes: Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.writing = promise;
    try {
      for (let at = 0; at < bytes.length; ) at += (await writeLater(descriptor, bytes, at)).bytesWritten;
    } catch (cause) {
      throw cannotWrite(this.parts.path, cause);
    } finally {
      this.writing = undefined;
      resolve();
    }
  }

  private translating(work: () => void): void {
    try {
      work();
    } catch (cause) {
      throw cannotWrite(this.parts.path, cause);
    }
  }

  /** Not while the system still writes to it: the descriptor could be another file's by then. */
  private closeFile(): void {
    const { descriptor, writing } = this;
    this.descriptor = undefined;
    if (descriptor === undefined) return;
    if (writing) void writing.then(() => closeSync(descriptor));
    else closeSync(descriptor);
  }
}

export const takenBack = () => new ScanError('spool-failed', 'the scan that this content was for has ended');

const cannotWrite = (path: string, cause: unknown): ScanError =>
  new ScanError('spool-failed', `cannot write to the spool at ${path}: is its file system full?`, { cause });
