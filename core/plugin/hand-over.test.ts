import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSubject, processSubject } from '../../test/conformance/subjects.ts';
import type { Subject } from '../api/index.ts';
import { HandOver } from './hand-over.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-hand-over-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function spooled(name: string): Subject {
  const content = join(root, name);
  writeFileSync(content, name);
  return fileSubject(content);
}
const contentOf = (subject: Subject | undefined): string => (subject?.kind === 'file' ? subject.content : '');

describe('what is handed over', () => {
  it('is the content in a private directory, until it is taken back', () => {
    using handOver = new HandOver([join(root, 'new')]);
    const [directory = ''] = handOver.directories;
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    const subject = spooled('one');
    const handed = handOver.give([subject]);
    const content = contentOf(handed.subjects[0]);
    expect(handed.subjects).toEqual([{ ...subject, content }]);
    expect(content.startsWith(directory)).toBe(true);
    expect(readFileSync(content, 'utf8')).toBe('one');
    expect(statSync(content).ino).toBe(statSync(contentOf(subject)).ino);
    handed[Symbol.dispose]();
    expect(existsSync(content)).toBe(false);
    expect(readFileSync(contentOf(subject), 'utf8')).toBe('one');
  });

  it('lies on the file system of the content, or is copied there', () => {
    using handOver = new HandOver(['/dev/shm', root]);
    const [shared = '', near = ''] = handOver.directories;
    const subject = spooled('one');
    using handed = handOver.give([subject]);
    const across = statSync('/dev/shm').dev !== statSync(root).dev;
    expect(contentOf(handed.subjects[0]).startsWith(across ? near : shared)).toBe(true);
    using far = new HandOver(['/dev/shm']);
    using copied = far.give([subject]);
    expect(readFileSync(contentOf(copied.subjects[0]), 'utf8')).toBe('one');
  });

  it('leaves subjects without content alone, and says which content is gone', () => {
    using handOver = new HandOver([root]);
    const bare: Subject = { ...fileSubject('/nowhere'), content: '' };
    const gone = fileSubject(join(root, 'never-was'));
    const process = processSubject();
    using handed = handOver.give([process, gone, bare]);
    expect(handed.subjects).toEqual([process, bare]);
    expect(handed.unscanned).toMatchObject([{ subject: gone.id, unscanned: 'io-error' }]);
  });

  it('is gone with its directory', () => {
    const handOver = new HandOver([root]);
    handOver.give([spooled('one')]);
    handOver[Symbol.dispose]();
    expect(readdirSync(root)).toEqual(['one']);
  });
});
