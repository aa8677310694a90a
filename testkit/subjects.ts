/** Subjects for trying a detector, as the host hands them over. */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  Answer,
  Detector,
  FileSubject,
  Logger,
  PluginContext,
  ProcessSubject,
  SignatureFile,
  Subject,
} from '../core/api/index.ts';

export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
};

let caches: string | undefined;

/** What `setup` is handed, with a fresh cache, which is gone when this process ends. */
export function contextWith<Options>(
  options: Options,
  signatures: readonly SignatureFile[] = [],
): PluginContext<Options> {
  const cache = mkdtempSync(join(cacheRoot(), 'plugin-'));
  return { options, logger: silent, signatures, cache, signal: new AbortController().signal };
}

function cacheRoot(): string {
  if (caches !== undefined) return caches;
  const made = mkdtempSync(join(tmpdir(), 'lazaret-caches-'));
  process.on('exit', () => rmSync(made, { recursive: true, force: true }));
  caches = made;
  return made;
}

/** The subject for a host file; for one that is not there, as if it had vanished after it was hashed. */
export function fileSubject(content: string): FileSubject {
  const bytes = existsSync(content) ? readFileSync(content) : Buffer.from('gone');
  const digest = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
  return {
    kind: 'file',
    id: randomUUID(),
    content,
    size: bytes.length,
    digests: { sha256: digest('sha256'), sha1: digest('sha1'), md5: digest('md5') },
    facts: { path: content, size: bytes.length, mode: 0o100644, uid: 0, gid: 0, mtime: '0.000000000' },
  };
}

export function processSubject(
  executable: Partial<NonNullable<ProcessSubject['executable']>> = {},
): ProcessSubject {
  return {
    kind: 'process',
    id: randomUUID(),
    pid: 4242,
    uid: 1000,
    name: 'worker',
    commandLine: ['worker', '--quiet'],
    executable: { path: '/usr/bin/worker', deleted: false, inMemory: false, ...executable },
  };
}

/** All answers, by subject; throws when one is answered twice. */
export async function answersOf(
  detector: Detector,
  subjects: readonly Subject[],
  signal: AbortSignal = new AbortController().signal,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>();
  for await (const answer of detector.detect(subjects, signal)) {
    if (answers.has(answer.subject)) throw new Error(`two answers for ${answer.subject}`);
    answers.set(answer.subject, answer);
  }
  return answers;
}
