/**
 * A pack's trial, before it is used: its signatures are set up apart from those in use, must find what the
 * pack's own tests say, and must find nothing in files of this host that are known to be good.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtempDisposable, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Detection, Detector, FileSubject } from '../api/index.ts';
import { PackError } from './error.ts';
import type { Manifest } from './manifest.ts';

const LARGEST_KNOWN_GOOD = 256 * 1024 * 1024;

/** What a false alarm would hurt most; those that are there are looked at. The kinds that are never touched in guests. */
export const KNOWN_GOOD: readonly string[] = [
  process.execPath,
  '/lib/x86_64-linux-gnu/libc.so.6',
  '/lib/aarch64-linux-gnu/libc.so.6',
  '/lib64/libc.so.6',
  '/lib/x86_64-linux-gnu/libcrypto.so.3',
  '/lib64/ld-linux-x86-64.so.2',
  '/lib/ld-linux-aarch64.so.1',
  '/usr/lib/systemd/systemd',
  '/sbin/init',
  '/bin/sh',
  '/bin/bash',
  '/bin/ls',
  '/usr/bin/env',
  '/usr/bin/perl',
  '/usr/bin/python3',
  '/usr/bin/sudo',
  '/usr/sbin/sshd',
  '/usr/bin/dpkg',
  '/usr/bin/rpm',
  '/etc/passwd',
  '/etc/crontab',
  '/etc/profile',
  '/etc/ssh/sshd_config',
];

export interface Candidate {
  readonly manifest: Manifest;
  /** Where its files lie. */
  readonly place: string;
  /** A directory for samples that are stored encoded, while they are looked at. */
  readonly scratch: string;
}

/** Throws PackError: `bad-signatures`, `test-failed`, `flags-known-good`. */
export async function tryPack(
  candidate: Candidate,
  detectors: readonly Detector[],
  knownGood: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const [problem] = detectors.flatMap(({ problems }) => problems);
  if (problem) {
    const line = problem.line === undefined ? '' : `:${problem.line}`;
    throw new PackError(
      'bad-signatures',
      `${problem.file}${line}: ${problem.message}: ask its vendor for a corrected pack`,
    );
  }
  await runTests(candidate, detectors, signal);
  for (const path of await present(knownGood)) {
    const [found] = await detect(path, detectors, signal);
    if (found === undefined) continue;
    throw new PackError(
      'flags-known-good',
      `its signature ${found.name} (${found.source ?? 'of no file'}) finds ${found.judgement} what is known to be good, ${path}: ask its vendor for a corrected pack`,
    );
  }
}

async function runTests(
  { manifest: { tests }, place, scratch }: Candidate,
  detectors: readonly Detector[],
  signal: AbortSignal,
): Promise<void> {
  await using decoded = await mkdtempDisposable(join(scratch, 'samples-'));
  for (const { sample, encoding, expect, signature } of tests) {
    const stored = join(place, sample);
    const path = encoding === undefined ? stored : await decode(stored, sample, decoded.path);
    const names = (await detect(path, detectors, signal)).map(({ name }) => name);
    const found = signature === undefined ? names.length > 0 : names.includes(signature);
    if (found === (expect === 'detected')) continue;
    const said = names.length === 0 ? 'nothing is found' : `${names.join(', ')} is found`;
    const expected = expect === 'clean' ? 'clean' : `detected${signature ? ` by ${signature}` : ''}`;
    throw new PackError(
      'test-failed',
      `its test of ${sample} fails: it should be ${expected}, and ${said}: ask its vendor for a corrected pack`,
    );
  }
}

/** Where a sample then lies that is stored in base64. */
async function decode(stored: string, sample: string, directory: string): Promise<string> {
  const text = (await readFile(stored, 'latin1')).replaceAll(/\s/g, '');
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) {
    throw new PackError(
      'test-failed',
      `its sample ${sample} is not in base64: ask its vendor for a corrected pack`,
    );
  }
  const path = join(directory, basename(sample));
  await writeFile(path, bytes);
  return path;
}

async function present(paths: readonly string[]): Promise<Set<string>> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const real = await realpath(path).catch(() => undefined);
      if (real === undefined) return [];
      const facts = await stat(real);
      return facts.isFile() && facts.size <= LARGEST_KNOWN_GOOD ? [real] : [];
    }),
  );
  return new Set(found.flat());
}

/** What is found in a file. Throws PackError `bad-signatures` when a detector does not come to an end with it. */
async function detect(
  path: string,
  detectors: readonly Detector[],
  signal: AbortSignal,
): Promise<readonly Detection[]> {
  const subject = await subjectOf(path, detectors);
  const detections: Detection[] = [];
  for (const detector of detectors.filter((each) => each.wants(subject))) {
    let answered = false;
    for await (const answer of detector.detect([subject], signal)) {
      if ('unscanned' in answer) throw unfinished(path, answer.detail ?? answer.unscanned);
      answered = true;
      detections.push(...answer.detections);
    }
    signal.throwIfAborted();
    if (!answered) throw unfinished(path, 'no answer');
  }
  return detections;
}

const unfinished = (path: string, why: string): PackError =>
  new PackError(
    'bad-signatures',
    `its signatures do not come to an end with ${path} (${why}): ask its vendor`,
  );

async function subjectOf(path: string, detectors: readonly Detector[]): Promise<FileSubject> {
  const names = new Set(['sha256' as const, ...detectors.flatMap(({ digests = [] }) => digests)]);
  const hashes = [...names].map((name) => [name, createHash(name)] as const);
  await pipeline(createReadStream(path), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) for (const [, hash] of hashes) hash.update(chunk);
  });
  const digests = Object.fromEntries(hashes.map(([name, hash]) => [name, hash.digest('hex')]));
  const { size, mode, uid, gid, mtimeMs } = await stat(path);
  const mtime = (mtimeMs / 1000).toFixed(9);
  return {
    kind: 'file',
    id: basename(path),
    content: path,
    size,
    digests: digests as FileSubject['digests'],
    facts: { path, size, mode, uid, gid, mtime },
  };
}
