/** Whole scans that contain and delete, and what comes back from quarantine. */
import { chownSync, readdirSync, readFileSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { need } from '../need.ts';
import { answersIn } from './engine.ts';
import { attributesOf, EICAR, KNOWN_BY_HASH, MARKER, setUserAttribute } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

const signal = new AbortController().signal;
const isRoot = process.geteuid?.() === 0;

describe('containment', () => {
  it('takes the file, and gives it back as it was', async () => {
    const guest = await serve();
    const file = guest.plant('/home/user/invoice.com', EICAR, 0o640);
    if (isRoot) chownSync(file, 4242, 2424);
    const keepsAttributes = need({
      what: 'a file system with user attributes',
      there: setUserAttribute(file, 'user.origin', 'downloaded'),
      get: 'let TMPDIR be on ext4, xfs or btrfs',
    });
    utimesSync(file, 1_500_000_000.5, 1_600_000_000.25);
    const before = statSync(file, { bigint: true });

    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(answersIn(report)).toEqual({ '/home/user/invoice.com': 'contained' });
    expect(guest.has('/home/user/invoice.com')).toBe(false);
    const [held] = engine.kept().vault;
    expect(held).toMatchObject({ status: 'held', path: '/home/user/invoice.com', size: EICAR.length });
    expect(engine.kept().journal).toEqual(['intent contain:file', 'outcome done']);

    await engine.services.quarantine.restore(String(held?.id), signal);
    const after = statSync(file, { bigint: true });
    expect(guest.text('/home/user/invoice.com')).toBe(EICAR);
    for (const kept of ['mode', 'uid', 'gid', 'mtimeNs', 'atimeNs'] as const)
      expect(after[kept], kept).toBe(before[kept]);
    if (keepsAttributes) expect(attributesOf(file)).toEqual({ 'user.origin': 'downloaded' });
    expect(engine.kept().vault).toMatchObject([{ status: 'restored' }]);
    // It is in the guest, so what lists findings must not say that it is contained.
    expect(engine.kept().findings).toMatchObject([
      { response: 'reported', reason: 'restored from quarantine into its guest' },
    ]);
    // Once is enough: it would overwrite what has become of the file since.
    await expect(engine.services.quarantine.restore(String(held?.id), signal)).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('leaves a guest that is clean', async () => {
    const guest = await serve();
    guest.plant('/tmp/eicar.com', EICAR);
    guest.plant('/etc/motd', 'welcome\n');
    const engine = await startEngine(guest);
    await engine.scan({ mode: 'contain' });
    const again = await engine.scan({ mode: 'contain' });
    expect(again.findings).toEqual([]);
    expect(again.scan.summary).toMatchObject({ files: 1, malicious: 0, unscanned: {} });
  });

  it('takes each of many names of one content', async () => {
    const guest = await serve();
    const paths = Array.from({ length: 150 }, (_, number) => `/srv/${number % 7}/copy-${number}`);
    for (const path of paths) guest.plant(path, EICAR);
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(answersIn(report)).toEqual(Object.fromEntries(paths.map((path) => [path, 'contained'])));
    expect(paths.filter((path) => guest.has(path))).toEqual([]);
    expect(engine.kept().vault).toHaveLength(150);
    expect(engine.spooled()).toEqual([]);
  });

  it('keeps the content where no scanner finds it by accident', async () => {
    const guest = await serve();
    guest.plant('/tmp/eicar.com', EICAR);
    const engine = await startEngine(guest);
    await engine.scan({ mode: 'contain' });
    const vault = join(guest.directory, 'state', 'vault');
    const [held] = engine.kept().vault;
    expect(readdirSync(vault)).toEqual([held?.id]);
    expect(readFileSync(join(vault, String(held?.id))).includes(EICAR)).toBe(false);
  });

  it('does not put a file back over another one', async () => {
    const guest = await serve();
    guest.plant('/tmp/eicar.com', EICAR);
    const engine = await startEngine(guest);
    await engine.scan({ mode: 'contain' });
    guest.plant('/tmp/eicar.com', 'somebody else put this here');
    const [held] = engine.kept().vault;
    await expect(engine.services.quarantine.restore(String(held?.id), signal)).rejects.toMatchObject({
      code: 'refused',
    });
    expect(guest.text('/tmp/eicar.com')).toBe('somebody else put this here');
    expect(engine.kept().vault).toMatchObject([{ status: 'held' }]);
  });
});

describe('mode delete', () => {
  it('removes what is malicious and nothing else, and keeps nothing of it', async () => {
    const guest = await serve();
    guest.plant('/tmp/eicar.com', EICAR);
    guest.plant('/srv/known', KNOWN_BY_HASH);
    guest.plant('/srv/other', 'harmless');
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'delete' });
    expect(answersIn(report)).toEqual({ '/tmp/eicar.com': 'deleted', '/srv/known': 'deleted' });
    expect(guest.has('/tmp/eicar.com') || guest.has('/srv/known')).toBe(false);
    expect(guest.text('/srv/other')).toBe('harmless');
    expect(engine.kept().vault).toEqual([]);
  });
});

it('finds, contains and restores files whose names were chosen to do harm', async () => {
  const names = [
    ...['a\nb', '\x1b[2J\x1b]0;owned\x07', 'gpj.\u202egnp.exe', '\ufefffirst', '$(touch owned);`id`', '-rf'],
    ...['<script>alert(1)<', '00000000-0000-4000-8000-000000000000', '...', '\\x41\\', 'n'.repeat(255)],
  ].map((name) => Buffer.from(name));
  names.push(Buffer.from([0x66, 0xff, 0xfe, 0x80]), Buffer.from([0xed, 0xa0, 0x80]));
  const guest = await serve();
  for (const name of names) guest.plant(Buffer.concat([Buffer.from('/tmp/'), name]), MARKER);
  const engine = await startEngine(guest);
  const report = await engine.scan({ mode: 'contain' });
  expect(report.findings.map(({ response }) => response)).toEqual(names.map(() => 'contained'));
  expect(readdirSync(guest.at('/tmp'))).toEqual([]);
  const { vault } = engine.kept();
  expect(readdirSync(join(guest.directory, 'state', 'vault')).toSorted()).toEqual(
    vault.map(({ id }) => id).toSorted(),
  );
  for (const { id } of vault) await engine.services.quarantine.restore(id, signal);
  const back = readdirSync(guest.at('/tmp'), { encoding: 'buffer' });
  expect(back.toSorted(Buffer.compare)).toEqual(names.toSorted(Buffer.compare));
  for (const name of names) expect(guest.text(Buffer.concat([Buffer.from('/tmp/'), name]))).toBe(MARKER);
});
