/**
 * The spool: where fetched content lies while detectors look at it. A private directory on tmpfs with a
 * bound on its bytes; one file per content, named by the host. Whoever begins a content waits until there is
 * room for it, and as long as it waits it reads nothing from its guest.
 *
 * File operations are synchronous on purpose: on tmpfs they are memory copies of microseconds, and a
 * trip through the thread pool costs more than the work.
 */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { ContentSummary, DigestName } from '../api/index.ts';
import { ScanError } from '../error.ts';

/** Bytes of `ContentSummary.head`. */
const HEAD_BYTES = 32;

export interface Content extends ContentSummary {
  /** A host file, to be read only. */
  readonly path: string;
  /** Removes the file and gives its room back. May be called again. */
  release(): void;
}

/** Where contents can be put. */
export interface Intake {
  /** The largest content that can ever enter. */
  readonly largest: number;
  /** Begins a content of at most `bytes`, as soon as there is room. Rejects with the signal's reason. */
  begin(bytes: number, digests: readonly DigestName[], signal: AbortSignal): Promise<Arrival>;
}

export class Spool implements Intake, Disposable {
  private readonly directory: string;
  private readonly bound: number;
  private used = 0;
  private serial = 0;
  private waiting: { bytes: number; enter: () => void }[] = [];

  private constructor(directory: string, bound: number) {
    this.directory = directory;
    this.bound = bound;
  }

  /** Makes a private directory below `parent`; throws ScanError `spool-failed`. */
  static create(parent: string, bound: number): Spool {
    try {
      return new Spool(mkdtempSync(join(parent, 'lazaret-spool-')), bound);
    } catch (cause) {
      throw new ScanError(
        'spool-failed',
        `cannot make a spool below ${parent}: set spool.directory to a tmpfs`,
        {
          cause,
        },
      );
    }
  }

  get bytesHeld(): number {
    return this.used;
  }

  /** Half of it: beside such a content there is always room for what is gathered to be judged together. */
  get largest(): number {
    return Math.floor(this.bound / 2);
  }

  async begin(bytes: number, digests: readonly DigestName[], signal: AbortSignal): Promise<Arrival> {
    if (bytes > this.largest) throw new ScanError('spool-failed', `${bytes} bytes cannot fit into the spool`);
    signal.throwIfAborted();
    if (this.waiting.length > 0 || this.used + bytes > this.bound) await this.room(bytes, signal);
    else this.used += bytes;
    this.serial += 1;
    return new Arrival(join(this.directory, String(this.serial)), bytes, digests, (returned) =>
      this.giveBack(returned),
    );
  }

  /** The part of one scan: what the scan left in it, however it ended, is gone when the part is disposed of. */
  share(): SpoolShare {
    return new SpoolShare(this);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  private room(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const place = {
        bytes,
        enter: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = () => {
        this.waiting = this.waiting.filter((other) => other !== place);
        reject(signal.reason);
        this.giveBack(0);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.waiting.push(place);
    });
  }

  /** First come, first served: a large content is not starved by small ones. */
  private giveBack(bytes: number): void {
    this.used -= bytes;
    for (let next = this.waiting[0]; next && this.used + next.bytes <= this.bound; next = this.waiting[0]) {
      this.waiting.shift();
      this.used += next.bytes;
      next.enter();
    }
  }
}

export class SpoolShare implements Intake, Disposable {
  private readonly spool: Spool;
  private readonly arrivals = new Set<Arrival>();
  private ended = false;

  constructor(spool: Spool) {
    this.spool = spool;
  }

  get largest(): number {
    return this.spool.largest;
  }

  async begin(bytes: number, digests: readonly DigestName[], signal: AbortSignal): Promise<Arrival> {
    const arrival = await this.spool.begin(bytes, digests, signal);
    if (this.ended) {
      arrival.discard();
      throw takenBack();
    }
    this.arrivals.add(arrival);
    arrival.onGone = () => this.arrivals.delete(arrival);
    return arrival;
  }

  [Symbol.dispose](): void {
    this.ended = true;
    for (const arrival of this.arrivals) arrival.discard();
  }
}

const takenBack = () => new ScanError('spool-failed', 'the scan that this content was for has ended');

/** A content on its way into the spool; hashed as it comes. Ends with `finish` or `discard`. */
export class Arrival {
  /** Called once, when nothing of it is left in the spool. */
  onGone: (() => void) | undefined;
  private readonly path: string;
  private readonly hashes: (readonly [DigestName, Hash])[];
  private readonly giveBack: (bytes: number) => void;
  private reserved: number;
  private size = 0;
  private head: Buffer = Buffer.alloc(0);
  private descriptor: number | undefined;
  private written = false;
  private gone = false;

  constructor(
    path: string,
    reserved: number,
    digests: readonly DigestName[],
    giveBack: (bytes: number) => void,
  ) {
    this.path = path;
    this.reserved = reserved;
    this.giveBack = giveBack;
    const names = new Set<DigestName>(['sha256', ...digests]);
    this.hashes = [...names].map((name) => [name, createHash(name)] as const);
  }

  /** Takes the next bytes; the caller may reuse them when it returns. Throws ScanError `spool-failed`. */
  write(bytes: Uint8Array): void {
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
    this.writeFile(bytes);
  }

  finish(): Content {
    this.writeFile(new Uint8Array());
    this.closeFile();
    this.giveBack(this.reserved - this.size);
    this.reserved = this.size;
    const digests = Object.fromEntries(this.hashes.map(([name, hash]) => [name, hash.digest('hex')]));
    const { path, size, head } = this;
    return { path, size, head, digests: digests as Content['digests'], release: () => this.discard() };
  }

  /** Removes what there is of it. May be called again. */
  discard(): void {
    if (this.gone) return;
    this.gone = true;
    this.closeFile();
    if (this.written) unlinkSync(this.path);
    this.giveBack(this.reserved);
    this.onGone?.();
  }

  private writeFile(bytes: Uint8Array): void {
    if (this.gone) throw takenBack();
    try {
      this.descriptor ??= openSync(this.path, 'wx', 0o400);
      this.written = true;
      for (let at = 0; at < bytes.length; ) at += writeSync(this.descriptor, bytes, at);
    } catch (cause) {
      throw new ScanError(
        'spool-failed',
        `cannot write to the spool at ${this.path}: is its file system full?`,
        {
          cause,
        },
      );
    }
  }

  private closeFile(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor);
    this.descriptor = undefined;
  }
}
