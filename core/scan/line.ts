/** A line of the listing while its files are looked at: what can be kept of it when they are done. */
import { hash } from 'node:crypto';
import { addCounts, type FileFacts as OpenedFacts } from '../../protocol/index.ts';
import type { KnownLine } from '../store/known-lines.ts';
import { digestOf } from './answer-keys.ts';
import type { FileLine, ListedFile } from './inventory.ts';

/** Who said what a file's content hashes to: this host when it had it, or the guest's agent. */
export interface KnownHash {
  readonly sha256: string;
  readonly isClaimed: boolean;
}

/** A listed file as part of its line. */
export interface LineFile {
  readonly line: OpenLine;
  /** 16 bytes that stand for its entry. */
  readonly digest: Buffer;
  readonly listed: Pick<OpenedFacts, 'dev' | 'ino' | 'size' | 'mtime' | 'ctime'>;
  /** What it must hash to if it did not change. */
  readonly expected?: KnownHash;
}

export class OpenLine {
  readonly source: FileLine;
  readonly directory: Buffer;
  private open: number;
  private isClean: boolean;
  private isClaimed = false;
  private readonly entries: Buffer[] = [];
  private readonly onDone: (line: OpenLine) => void;

  /** `onDone` is called once, when each of its files was settled or left. */
  constructor(source: FileLine, onDone: (line: OpenLine) => void) {
    this.source = source;
    this.directory = directoryKey(source.directory.bytes);
    this.open = source.files.length;
    this.isClean = !source.isShort;
    this.onDone = onDone;
  }

  file({ entry }: ListedFile): LineFile {
    const { dev } = this.source;
    const [, ino, size, mtime, ctime] = entry;
    const digest = digestOf(JSON.stringify([dev, entry]));
    return { line: this, digest, listed: { dev, ino, size, mtime, ctime } };
  }

  /** The file was judged clean, and this is what it hashed to. */
  settle(file: LineFile, { sha256, isClaimed }: KnownHash): void {
    this.entries.push(Buffer.concat([file.digest, Buffer.from(sha256, 'hex')]));
    this.isClaimed ||= isClaimed;
    this.close();
  }

  /** Nothing can be kept of one of its files, so the line is not clean as a whole. */
  leave(): void {
    this.isClean = false;
    this.close();
  }

  /** Nobody wants one of its files: its entry alone says so. */
  pass(): void {
    this.close();
  }

  /** Undefined when there is nothing to keep. */
  kept(generation: Buffer): KnownLine | undefined {
    if (!this.isClean && this.entries.length === 0) return undefined;
    const { digest, files } = this.source;
    return {
      directory: this.directory,
      digest: Buffer.from(digest, 'hex'),
      generation: this.isClean ? generation : undefined,
      files: files.length,
      bytes: files.reduce((sum, { facts }) => addCounts(sum, facts.size), 0),
      claimed: this.isClaimed,
      shareable: files.every(isOfKernel),
      entries: Buffer.concat(this.entries),
    };
  }

  private close(): void {
    this.open -= 1;
    if (this.open === 0) this.onDone(this);
  }
}

/**
 * A ctime with a fraction was put there by a kernel, at one moment of one machine: a file of another guest with
 * the same one, and all else the same, is a copy of the same image. Builders of images write whole seconds.
 */
const isOfKernel = ({ entry: [, , , , ctime] }: ListedFile): boolean => !/\.0+$/.test(ctime);

/** What the opened file said of itself is what the listing had. */
export const isSame = (listed: LineFile['listed'], opened: OpenedFacts): boolean =>
  listed.dev === opened.dev &&
  listed.ino === opened.ino &&
  listed.size === opened.size &&
  listed.mtime === opened.mtime &&
  listed.ctime === opened.ctime;

const directoryKey = (path: Buffer): Buffer => hash('sha256', path, 'buffer').subarray(0, 16);
