/** What a plugin is tried on: things that are on every host, none of them malware. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FileSubject, ProcessSubject, Subject } from '../api/index.ts';

export interface Probe {
  readonly what: string;
  readonly subject: Subject;
}

const PROGRAM = ['/usr/bin/env', '/bin/sh'].find((path) => existsSync(path)) ?? process.execPath;

const PROCESS: ProcessSubject = {
  kind: 'process',
  id: 'process',
  pid: 4242,
  uid: 1000,
  name: 'worker',
  commandLine: ['worker', '--quiet'],
  executable: { path: '/usr/sbin/worker', deleted: false, inMemory: false },
};

/** Their contents are made in `place`. */
export function makeProbes(place: string): readonly Probe[] {
  const at = (name: string): string => join(place, name);
  writeFileSync(at('empty'), '');
  writeFileSync(at('text.txt'), 'Nothing to see here.\n');
  copyFileSync(PROGRAM, at('program'));
  return [
    { what: 'an empty file', subject: subjectFor(at('empty'), 0o100644) },
    { what: 'a small text', subject: subjectFor(at('text.txt'), 0o100644) },
    { what: `the program ${PROGRAM}`, subject: subjectFor(at('program'), 0o100755) },
    { what: 'a process', subject: PROCESS },
  ];
}

function subjectFor(path: string, mode: number): FileSubject {
  const bytes = readFileSync(path);
  const digest = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
  return {
    kind: 'file',
    id: path,
    content: path,
    size: bytes.length,
    digests: { sha256: digest('sha256'), sha1: digest('sha1'), md5: digest('md5') },
    facts: { path, size: bytes.length, mode, uid: 0, gid: 0, mtime: '0.000000000' },
  };
}
