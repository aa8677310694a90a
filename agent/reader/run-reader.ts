/**
 * The reader: a process of the agent that makes the calls which can wait for a disk, a server or another process,
 * one after another. It knows nothing of the host. It ends when the agent closes its input, or dies.
 *
 *   descriptor 0  lines that ask       3  the note of where it is (`note.ts`)
 *   descriptor 1  lines that answer    4  a pipe for the bytes of answers
 */
import { readSync, writeSync } from 'node:fs';
import { messageOf } from '../error.ts';
import { MountTable } from '../linux/mounts.ts';
import { Root } from '../linux/root.ts';
import { ContentJob } from './content-job.ts';
import { DigestJob } from './digest-job.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';
import type { Answer, Ask, Introduction } from './messages.ts';
import { NotePad } from './note.ts';
import { PieceJob } from './piece-job.ts';
import { ProcessJob } from './process-job.ts';
import { SystemJob } from './system-job.ts';
import { WalkJob } from './walk-job.ts';

const [INPUT, OUTPUT, NOTE, BYTES] = [0, 1, 3, 4];
const READ_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
/** How long a step may take: others wait for their turn meanwhile, and a request that was cancelled goes on. */
const STEP_MS = 20;

export function runReader(): void {
  const lines = inputLines();
  const { root: path, own, capacity } = JSON.parse(lines.next().value as string) as Introduction;
  const isOurs = new Set(own);
  const root = new Root(path);
  const pad = new NotePad(NOTE);
  const jobs = new Map<number, JobRun>();
  for (const line of lines) {
    const ask = JSON.parse(line) as Ask;
    if ('open' in ask) {
      const { open, job, avoided } = ask;
      const parts = { number: open, root, pad, isOwn: (identity: string) => isOurs.has(identity) };
      jobs.set(open, begin(job, { ...parts, mounts: MountTable.read(root), avoided }));
    } else if ('close' in ask) {
      jobs.get(ask.close)?.end();
      jobs.delete(ask.close);
    } else answer(jobs.get(ask.step), ask.leftMs, capacity);
  }
}

/** Also run by the agent itself, where everything is avoided. */
export function begin(job: Extract<Ask, { open: number }>['job'], parts: JobParts): JobRun {
  switch (job.kind) {
    case 'walk':
      return new WalkJob(job, parts);
    case 'content':
      return new ContentJob(job, parts);
    case 'digests':
      return new DigestJob(job, parts);
    case 'pieces':
      return new PieceJob(job, parts);
    case 'processes':
      return new ProcessJob(job, parts);
    case 'system':
      return new SystemJob(parts);
  }
}

function answer(job: JobRun | undefined, leftMs: number, capacity: number): void {
  let step: Step;
  try {
    if (!job) throw new Error('there is no such job');
    step = job.step(performance.now() + STEP_MS, leftMs);
  } catch (error) {
    tell({ error: messageOf(error) });
    return;
  }
  let { payload } = step;
  for (; payload.length > capacity; payload = payload.subarray(capacity)) {
    writeAll(BYTES, payload.subarray(0, capacity));
    tell({ part: capacity });
  }
  writeAll(BYTES, payload);
  const { read, isDone, progress } = step;
  tell({ length: payload.length, read, isDone, progress });
}

const tell = (line: Answer): void => writeAll(OUTPUT, Buffer.from(`${JSON.stringify(line)}\n`));

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at);
}

function* inputLines(): Generator<string> {
  const chunk = Buffer.alloc(READ_BYTES);
  let parts: Buffer[] = [];
  for (let filled = readSync(INPUT, chunk); filled > 0; filled = readSync(INPUT, chunk)) {
    let from = 0;
    for (let end = find(chunk, from, filled); end >= 0; end = find(chunk, from, filled)) {
      yield Buffer.concat([...parts, chunk.subarray(from, end)]).toString();
      parts = [];
      from = end + 1;
    }
    parts.push(Buffer.from(chunk.subarray(from, filled)));
  }
}

function find(chunk: Buffer, from: number, filled: number): number {
  const at = chunk.subarray(from, filled).indexOf(NEWLINE);
  return at < 0 ? -1 : from + at;
}
