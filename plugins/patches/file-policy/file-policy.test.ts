import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { FileChange, GuestFile, GuestReader, PatchPlan } from 'lazaret/plugin';
import { describe, expect, it } from 'vitest';
import { contextWith } from '../../../test/conformance/subjects.ts';
import { parseBundle } from './bundle.ts';
import { FilePolicy } from './file-policy.ts';
import plugin from './index.ts';

const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures', name);
const text = (name: string): string => readFileSync(fixture(name), 'utf8');

const SSHD = '/etc/ssh/sshd_config';
const SYSCTL = '/etc/sysctl.d/60-lazaret.conf';
const CLOUD = '/etc/ssh/sshd_config.d/50-cloud-init.conf';

/** Files of a guest, which take changes as the host would make them. */
class Files implements GuestReader {
  private readonly files = new Map<string, GuestFile>();

  constructor(files: Readonly<Record<string, string>>) {
    for (const [path, content] of Object.entries(files)) this.write(path, Buffer.from(content));
  }

  async readFile(path: string): Promise<GuestFile | undefined> {
    return this.files.get(path);
  }

  write(path: string, content: Buffer, access: Partial<GuestFile> = {}): void {
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.files.set(path, { mode: 0o644, uid: 0, gid: 0, ...access, content, sha256 });
  }

  make(changes: readonly FileChange[]): void {
    for (const { path, after, before: _, ...access } of changes) if (after) this.write(path, after, access);
  }

  text(path: string): string | undefined {
    return this.files.get(path)?.content.toString('utf8');
  }
}

const guest = (files: Readonly<Record<string, string>> = {}): Files =>
  new Files({ [SSHD]: text('sshd/weak.conf'), [CLOUD]: 'PasswordAuthentication no\n', ...files });

const patch = new FilePolicy(parseBundle('ssh.yaml', text('bundles/ssh.yaml')));
const motd = (expect: string, more = ''): FilePolicy =>
  new FilePolicy(
    parseBundle(
      'motd.yaml',
      `{ id: motd, title: Motd, files: [{ path: /etc/motd, expect: ${expect}, content: hello${more} }] }`,
    ),
  );

function changesOf(plan: PatchPlan): readonly FileChange[] {
  if (plan.state !== 'applicable') throw new Error(`the plan is ${JSON.stringify(plan)}`);
  return plan.changes;
}

describe('a plan', () => {
  it('sets what is weak, creates what is missing, and is satisfied afterwards', async () => {
    const files = guest();
    expect(await patch.verify(files)).not.toEqual([]);
    const changes = changesOf(await patch.plan(files));
    expect(changes.map(({ path, before, mode }) => [path, before === undefined, mode])).toEqual([
      [SSHD, false, 0o600],
      [SYSCTL, true, undefined],
    ]);
    files.make(changes);
    expect(files.text(SSHD)).toBe(text('sshd/weak.hardened.conf'));
    expect(files.text(SYSCTL)).toBe('kernel.kptr_restrict = 2\n');
    expect(await patch.verify(files)).toEqual([]);
    expect(await patch.plan(files)).toEqual({ state: 'satisfied' });
  });

  it('changes the mode alone where the content is right', async () => {
    const files = guest({ [SSHD]: text('sshd/clean.conf'), [SYSCTL]: 'kernel.kptr_restrict = 2\n' });
    const [change, ...others] = changesOf(await patch.plan(files));
    expect(others).toEqual([]);
    expect(change).toMatchObject({ path: SSHD, mode: 0o600, uid: 0, gid: 0 });
    expect(change?.after).toEqual(change?.before?.content);
  });

  it.each([
    [
      'is malformed',
      { [SSHD]: text('sshd/malformed.conf') },
      `${SSHD}, line 2: a quotation mark is not closed`,
    ],
    ['is there against expectation', { [SYSCTL]: 'kernel.kptr_restrict = 1\n' }, `${SYSCTL} is there`],
  ])('is refused where a file %s', async (_, files, reason) => {
    expect(await patch.plan(guest(files))).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining(reason),
    });
  });

  it('is refused where a file is missing in which settings belong', async () => {
    expect(await patch.plan(new Files({}))).toEqual({
      state: 'refused',
      reason: `${SSHD} is not there, so nothing can be set in it`,
    });
  });

  it('is refused rather than satisfied when nothing is to be changed and verification fails all the same', async () => {
    const files = guest({ [CLOUD]: 'PasswordAuthentication yes\n' });
    files.make(changesOf(await patch.plan(files)));
    expect(await patch.plan(files)).toEqual({
      state: 'refused',
      reason: `${CLOUD} does not set PasswordAuthentication to no`,
    });
  });

  it('replaces only the content that it expects', async () => {
    const old = createHash('sha256').update('old').digest('hex');
    const patch = motd(`{ sha256: ["${old}"] }`);
    expect(await patch.plan(new Files({ '/etc/motd': 'old' }))).toMatchObject({ state: 'applicable' });
    expect(await patch.plan(new Files({ '/etc/motd': 'hello' }))).toEqual({ state: 'satisfied' });
    expect(await patch.plan(new Files({}))).toMatchObject({ state: 'refused' });
    expect(await patch.plan(new Files({ '/etc/motd': 'edited' }))).toMatchObject({
      state: 'refused',
      reason: expect.stringMatching(/another content than expected: its SHA-256 is [0-9a-f]{64}$/),
    });
  });

  it('replaces anything, or nothing, where it expects anything', async () => {
    for (const files of [{}, { '/etc/motd': 'old' }]) {
      expect(await motd('any').plan(new Files(files))).toMatchObject({ state: 'applicable' });
    }
  });

  it('passes on that a file cannot be read', async () => {
    const unreadable = { readFile: () => Promise.reject(new Error('unreadable')) };
    await expect(patch.plan(unreadable)).rejects.toThrow('unreadable');
    await expect(patch.verify(unreadable)).rejects.toThrow('unreadable');
  });
});

describe('verification', () => {
  it('tells every difference, and nothing that stands in the guest', async () => {
    const hostile = '\u001b[2J';
    const files = guest({ [SSHD]: `PermitRootLogin ${hostile}\nMaxAuthTries 4\n` });
    expect(await patch.verify(files)).toEqual([
      `${SSHD} does not set PermitRootLogin to no`,
      `${SSHD} does not set PasswordAuthentication to no`,
      `${SSHD} has the mode 0644, not 0600`,
      `${SYSCTL} is not there`,
    ]);
    const owned = motd('any', ', uid: 3, gid: 4');
    expect(await owned.verify(new Files({ '/etc/motd': 'bye' }))).toEqual([
      '/etc/motd has another content',
      '/etc/motd belongs to the user 0, not 3',
      '/etc/motd belongs to the group 0, not 4',
    ]);
  });
});

describe('a bundle', () => {
  const load = async (path: string) => {
    return (await plugin.setup(contextWith({}))).load(path);
  };

  it('is read from YAML, and left to others otherwise', async () => {
    expect(await load(fixture('bundles/ssh.yaml'))).toMatchObject({ id: 'ssh-and-kernel' });
    expect(await load(fixture('sshd/weak.conf'))).toBeUndefined();
  });

  it('that is faulty is refused, each fault with its place, its key and what was expected', async () => {
    const file = fixture('bundles/faulty.yaml');
    const error: unknown = await load(file).catch((error: unknown) => error);
    expect(error).toMatchObject({ name: 'PluginError', code: 'bad-bundle' });
    const faults = (error as Error).message.split('\n').map((line) => line.replace(`${file}:`, ''));
    expect(faults).toEqual([
      expect.stringMatching(/^1:5: id: expected small letters/),
      expect.stringMatching(/^4:11: files\[0\]\.path: expected the absolute path/),
      expect.stringMatching(/^5:13: files\[0\]\.expect: expected any, absent, or sha256/),
      expect.stringMatching(/^10:26: files\[0\]\.settings\.set\.permitrootlogin: expected each setting once/),
      expect.stringMatching(
        /^11:21: files\[0\]\.settings\.set\.AllowUsers: expected a keyword with one value/,
      ),
      expect.stringMatching(/^12:17: files\[0\]\.settings\.set\.Banner: expected arguments/),
      expect.stringMatching(/^15:11: files\[1\]\.mode: expected permissions in quotation marks/),
      expect.stringMatching(/^16:12: files\[1\]\.color: there is no such key/),
    ]);
  });

  it.each([
    ['no YAML', 'id: [', /^b\.yaml:1:6: /],
    ['empty', '', /^b\.yaml:1:1: Invalid input: expected object/],
    [
      'without content',
      '{ id: a, title: A, files: [{ path: /a, expect: any }] }',
      /either content or settings/,
    ],
    [
      'climbing',
      '{ id: a, title: A, files: [{ path: /a/../b, expect: any, content: x }] }',
      /files\[0\]\.path/,
    ],
    [
      'given a value of two lines',
      '{ id: a, title: A, files: [{ path: /a, expect: any, settings: { format: sysctl, set: { a.b: "1\\nc.d = 2" } } }] }',
      /set\.a\.b: expected printable ASCII/,
    ],
    [
      'of the same path twice',
      '{ id: a, title: A, files: [{ path: /a, expect: any, content: x }, { path: /a, expect: any, content: y }] }',
      /expected each path once/,
    ],
  ])('that is %s is refused', (_, yaml, message) => {
    expect(() => parseBundle('b.yaml', yaml)).toThrow(
      expect.objectContaining({ code: 'bad-bundle', message: expect.stringMatching(message) }),
    );
  });

  it('that cannot be read is refused', async () => {
    await expect(load('/nonexistent/bundle.yaml')).rejects.toMatchObject({ code: 'bad-bundle' });
  });
});
