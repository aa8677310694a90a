/**
 * The detector hashset in a process of its own, so that its memory is known: `hashset-process.js LIST CACHE COUNT`
 * for a list of `hashset.ts`, with --expose-gc. Prints its figures in JSON.
 */
import { hash } from 'node:crypto';
import type { FileSubject } from '../core/api/index.ts';
import hashset from '../plugins/detectors/hashset/index.ts';
import { listedHash } from './hashset.ts';
import { cpuSeconds, peakMegabytes, residentMegabytes } from './processes.ts';

export interface HashsetFigures {
  readonly openSeconds: number;
  readonly openCpu: number;
  readonly peakMegabytes: number;
  readonly grownMegabytes: number;
  readonly hitMicroseconds: number;
  readonly missMicroseconds: number;
}

const ROUNDS = 50;
const ASKED = 2_048;
const BATCH = 128;
const silent = () => undefined;
const { signal } = new AbortController();

const [list = '', cache = '', count = ''] = process.argv.slice(2);
globalThis.gc?.();
const before = residentMegabytes(process.pid);
const cpuBefore = cpuSeconds(process.pid);
const begun = performance.now();
const detector = await hashset.setup({
  options: { lists: [list] },
  logger: { debug: silent, info: silent, warn: silent },
  signatures: [],
  cache,
  signal,
});
const openSeconds = (performance.now() - begun) / 1000;
const openCpu = cpuSeconds(process.pid) - cpuBefore;
globalThis.gc?.();
const figures: HashsetFigures = {
  openSeconds,
  openCpu,
  peakMegabytes: peakMegabytes(process.pid),
  grownMegabytes: residentMegabytes(process.pid) - before,
  hitMicroseconds: await lookUp((index) => [listedHash(index), index], ASKED),
  missMicroseconds: await lookUp((index) => [hash('sha256', `not listed ${index}`), index], 0),
};
await detector.close();
process.stdout.write(JSON.stringify(figures));

/** Microseconds for each of many files, chosen at random; of many short rounds the best, for others use the machine too. */
async function lookUp(
  of: (index: number) => [sha256: string, size: number],
  expected: number,
): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const subjects = Array.from({ length: ASKED }, (_, at) =>
      subject(`${at}`, ...of(Math.floor(Math.random() * Number(count)))),
    );
    const begun = performance.now();
    const found = await detectAll(subjects);
    best = Math.min(best, ((performance.now() - begun) * 1000) / ASKED);
    if (found !== expected) throw new Error(`${found} were found of ${expected}`);
  }
  return best;
}

async function detectAll(subjects: readonly FileSubject[]): Promise<number> {
  let found = 0;
  for (let at = 0; at < subjects.length; at += BATCH) {
    for await (const answer of detector.detect(subjects.slice(at, at + BATCH), signal)) {
      if ('detections' in answer) found += answer.detections.length;
    }
  }
  return found;
}

function subject(id: string, sha256: string, size: number): FileSubject {
  const facts = { path: '/sample', size, mode: 0o100644, uid: 0, gid: 0, mtime: '0.000000000' };
  return { kind: 'file', id, content: '', size, digests: { sha256 }, facts };
}
