/**
 * Builds an index (hash-index.ts) from lists, in memory that does not grow with them: notes are written while
 * the lists are read, records sorted through a scratch file.
 */
import { createHash } from 'node:crypto';
import { fsyncSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { DigestName, Judgement, SignatureProblem } from 'lazaret/plugin';
import { ExternalSort } from './external-sort.ts';
import { MOST_BITS, tailOf } from './hash-index.ts';
import { HashList, type ListedHash } from './hash-list.ts';
import { readLines } from './lines.ts';
import { NoteWriter } from './notes.ts';
import { compareKeys, WIDTH, writeKey, writeReference } from './record.ts';

export interface List {
  readonly path: string;
  /** What findings call it. */
  readonly source: string;
  readonly judgement: Judgement;
}

export interface Building {
  readonly key: string;
  readonly lists: readonly List[];
  /** Descriptors of two empty files. */
  readonly file: number;
  readonly scratch: number;
  readonly signal: AbortSignal;
  /** How many records are sorted at once in memory. */
  readonly runLength?: number | undefined;
}

/** A bucket of the fan-out has about this many records. */
const BUCKET = 32;
const MOST_NAMED = 100;
const SHOWN = 80;

/** Writes and syncs the index. Throws PluginError `bad-signatures` for a list that cannot be read; else what the disk says. */
export async function buildIndex(building: Building): Promise<void> {
  const { key, lists, file, scratch, signal, runLength } = building;
  const output = new Output(file);
  const notes = new NoteWriter((bytes) => output.append(bytes));
  const records = new ExternalSort(scratch, runLength);
  const problems = new Problems();
  const algorithms = new Set<DigestName>();
  for (const [list, { path }] of lists.entries()) {
    await readList(path, problems, signal, ({ algorithm, hash, name, size }) => {
      algorithms.add(algorithm);
      const reference = notes.add(list, name);
      records.add((into, at) => {
        writeKey(into, at, algorithm, hash, size);
        writeReference(into, at, reference);
      });
    });
  }
  const notesLength = output.length;
  const { starts, bits, count } = await writeRecords(records, output, signal);
  const about = lists.map(({ source, judgement }) => ({ source, judgement }));
  output.append(
    tailOf(starts, {
      key,
      digest: output.digestWith(JSON.stringify(about)),
      notes: notesLength,
      count,
      bits,
      algorithms: [...algorithms].sort(),
      lists: about,
      problems: problems.all(),
    }),
  );
  output.flush();
  fsyncSync(file);
}

async function readList(
  path: string,
  problems: Problems,
  signal: AbortSignal,
  take: (hash: ListedHash) => void,
): Promise<void> {
  const list = new HashList(path);
  let number = 0;
  for await (const lines of readLines(path, signal)) {
    for (const line of lines) {
      number += 1;
      const parsed = list.parse(line);
      if (parsed === 'malformed') problems.add(path, number, line);
      else if (parsed !== 'nothing') take(parsed);
    }
  }
}

/** Writes each record once, and says where those with the same beginning begin. */
async function writeRecords(records: ExternalSort, output: Output, signal: AbortSignal) {
  const bits = Math.min(MOST_BITS, Math.max(1, Math.ceil(Math.log2(records.count / BUCKET))));
  const starts = new Uint32Array(2 ** bits + 1);
  const last = Buffer.alloc(WIDTH);
  let count = 0;
  let begun = 0;
  for (const batch of records.sorted()) {
    for (let at = 0; at < batch.length; at += WIDTH) {
      if (count > 0 && compareKeys(batch, at, last, 0) === 0) continue;
      const prefix = batch.readUInt32BE(at) >>> (32 - bits);
      while (begun <= prefix) starts[begun++] = count;
      batch.copy(last, 0, at, at + WIDTH);
      output.append(last);
      count += 1;
    }
    await setImmediate();
    signal.throwIfAborted();
  }
  starts.fill(count, begun);
  return { starts, bits, count };
}

/** The first malformed lines, and how many more there are. */
class Problems {
  private readonly named: SignatureProblem[] = [];
  private more: { readonly file: string; count: number } | undefined;

  add(file: string, line: number, text: string): void {
    if (this.named.length < MOST_NAMED) {
      const shown = JSON.stringify(text.trim().slice(0, SHOWN));
      this.named.push({ file, line, message: `has no SHA-256, SHA-1 or MD5 in its place: ${shown}` });
    } else {
      this.more ??= { file, count: 0 };
      this.more.count += 1;
    }
  }

  all(): SignatureProblem[] {
    if (this.more === undefined) return this.named;
    const { file, count } = this.more;
    return [...this.named, { file, message: `and ${count} more such lines, from this list on` }];
  }
}

const BUFFER = 1024 * 1024;

/** Appends to a file, in large pieces. */
class Output {
  length = 0;
  private readonly file: number;
  private readonly sum = createHash('sha256');
  private readonly buffer = Buffer.alloc(BUFFER);
  private held = 0;

  constructor(file: number) {
    this.file = file;
  }

  /** Gives the place where the bytes begin. */
  append(bytes: Buffer): number {
    const place = this.length;
    for (let done = 0; done < bytes.length; ) {
      const taken = bytes.copy(this.buffer, this.held, done);
      this.held += taken;
      done += taken;
      if (this.held === BUFFER) this.flush();
    }
    this.length += bytes.length;
    return place;
  }

  flush(): void {
    const bytes = this.buffer.subarray(0, this.held);
    this.sum.update(bytes);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.file, bytes, done);
    this.held = 0;
  }

  /** SHA-256 of all until now and of a text that is not written. */
  digestWith(text: string): string {
    this.flush();
    return this.sum.copy().update(text).digest('hex');
  }
}
