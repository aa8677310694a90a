/** What a plugin is tried on: things that are on every host, none of them malware. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { FileSubject, ProcessSubject, Subject } from '../api/index.ts';
import type { Wants } from './wants.ts';

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

/** Their contents are made in `place`; their names and modes are such as the plugin wants. */
export function makeProbes(place: string, wants: Wants): readonly Probe[] {
  const file = (name: string, make: (path: string) => void): Subject => {
    const path = join(place, name);
    make(path);
    return subjectFor(path, wants);
  };
  return [
    { what: 'an empty file', subject: file('empty', (path) => writeFileSync(path, '')) },
    { what: 'a small text', subject: file('text', (path) => writeFileSync(path, 'Nothing to see here.\n')) },
    { what: `the program ${PROGRAM}`, subject: file('program', (path) => copyFileSync(PROGRAM, path)) },
    { what: 'a process', subject: PROCESS },
  ];
}

function subjectFor(content: string, { prefixes, suffixes, executable }: Wants): FileSubject {
  const bytes = readFileSync(content);
  const digest = (algorithm: string): string => createHash(algorithm).update(bytes).digest('hex');
  const path = `${prefixes?.[0] ?? '/srv/'}${basename(content)}${suffixes?.[0] ?? ''}`;
  const mode = executable ? 0o100755 : 0o100644;
  return {
    kind: 'file',
    id: basename(content),
    content,
    size: bytes.length,
    digests: { sha256: digest('sha256'), sha1: digest('sha1'), md5: digest('md5') },
    facts: { path, size: bytes.length, mode, uid: 0, gid: 0, mtime: '0.000000000' },
  };
}
