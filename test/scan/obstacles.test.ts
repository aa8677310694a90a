/** Malware that the guest's file system will not let go of, and files that it will not take back. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { clearFlags, readFlags, setFlags } from '../../agent/linux/flags.ts';
import { exitCodeOfReport } from '../../core/cli/scan-outcome.ts';
import { FILE_FLAGS, type FileFlag, GuestPath } from '../../protocol/index.ts';
import { need } from '../need.ts';
import { EICAR, type ServedFolder } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

const signal = new AbortController().signal;

function onPath<Result>(path: Buffer, work: (descriptor: number) => Result): Result {
  const descriptor = openSync(path, 'r');
  try {
    return work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

const flag = (path: Buffer, flags: readonly FileFlag[]) => onPath(path, (file) => setFlags(file, flags));
const unflag = (path: Buffer) => onPath(path, (file) => clearFlags(file, FILE_FLAGS));

async function mayFlag(): Promise<boolean> {
  const guest = await serve();
  const path = guest.plant('/f', '');
  try {
    flag(path, ['immutable']);
    unflag(path);
    return true;
  } catch {
    return false;
  }
}

const isRoot = process.geteuid?.() === 0;
const canFlag = need({
  what: 'the right to make files immutable',
  there: await mayFlag(),
  get: 'run the tests as root (CAP_LINUX_IMMUTABLE), with TMPDIR on ext4, XFS, Btrfs or tmpfs',
});

it.runIf(canFlag)('contains malware that is immutable, and restores it so', async () => {
  const guest = await serve();
  const path = guest.plant('/tmp/eicar.com', EICAR);
  flag(path, ['immutable', 'append-only']);
  const engine = await startEngine(guest);
  const report = await engine.scan({ mode: 'contain' });
  expect(report.findings).toMatchObject([{ response: 'contained' }]);
  expect(exitCodeOfReport(report)).toBe(1);
  expect(guest.has('/tmp/eicar.com')).toBe(false);
  const [held] = engine.kept().vault;
  expect(held?.state?.flags).toEqual(['immutable', 'append-only']);
  await engine.services.quarantine.restore(String(held?.id), signal);
  expect(onPath(path, readFlags)).toEqual(['immutable', 'append-only']);
  unflag(path);
});

const canMount = need({
  what: 'the right to mount',
  there: isRoot && mayMount(),
  get: 'run the tests as root',
});

function mayMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.runIf(canMount)('a file system that is read-only', () => {
  async function readOnly(work: (guest: ServedFolder) => Promise<void>): Promise<void> {
    const guest = await serve();
    const mount = guest.at('/mnt').toString();
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', 'none', mount]);
    try {
      guest.plant('/mnt/eicar.com', EICAR);
      execFileSync('mount', ['-o', 'remount,ro', mount]);
      await work(guest);
    } finally {
      execFileSync('umount', [mount]);
    }
  }

  it.each(['contain', 'delete'] as const)('fails %s in words, tells it, and exits with 2', (mode) =>
    readOnly(async (guest) => {
      const engine = await startEngine(guest);
      const report = await engine.scan({ mode });
      const [finding] = report.findings;
      expect(finding).toMatchObject({ response: 'failed' });
      expect(finding?.reason).toMatch(/its file system is read-only \(.*EROFS.*\); remount it/);
      expect(exitCodeOfReport(report)).toBe(2);
      expect(engine.kept().actions).toMatchObject([{ outcome: { code: 'failed', obstacle: 'read-only' } }]);
      expect(engine.events.map(({ status_detail: detail }) => detail)).toContainEqual(
        expect.stringContaining('read-only: its file system is read-only'),
      );
      expect(engine.kept().vault).toEqual([]);
    }),
  );
});

describe('what cannot go back to where it was', () => {
  async function contained(guest: ServedFolder) {
    guest.plant('/srv/eicar.com', EICAR);
    const engine = await startEngine(guest);
    await engine.scan({ mode: 'contain' });
    const id = String(engine.kept().vault[0]?.id);
    const restore = (to?: string) =>
      engine.services.quarantine.restore(id, signal, to === undefined ? undefined : GuestPath.of(to));
    return { engine, restore };
  }

  it('is refused with what is in the way, and goes elsewhere', async () => {
    const guest = await serve();
    const { engine, restore } = await contained(guest);
    guest.plant('/srv/eicar.com', 'new');
    await expect(restore()).rejects.toThrow(/occupied: something stands there already; move that away/);
    await expect(restore('/nowhere/f')).rejects.toThrow(/vanished: its directory is not there.*--to/);
    symlinkSync('srv', guest.at('/link'));
    await expect(restore('/link/f')).rejects.toThrow(/a symbolic link is on the way/);
    await expect(restore('/srv/eicar.com/f')).rejects.toThrow(/what should be its directory is none/);
    expect(engine.kept().vault).toMatchObject([{ status: 'held' }]);

    await restore('/srv/elsewhere');
    expect(guest.text('/srv/elsewhere')).toBe(EICAR);
    expect(guest.text('/srv/eicar.com')).toBe('new');
    expect(engine.kept().vault).toMatchObject([{ status: 'restored', path: '/srv/eicar.com' }]);
    expect(engine.kept().actions.at(0)?.instruction).toMatchObject({
      name: 'restore:file',
      target: { path: '/srv/elsewhere' },
    });
  });

  it.each([
    ['/etc/pam.d/x', 'protected'],
    ['/usr/lib/modules/x.ko', 'protected'],
    ['/srv/own/x', 'protected'],
    ['/srv/', 'refused'],
  ])('does not go to %s', async (to, code) => {
    const guest = await serve();
    guest.plant('/srv/eicar.com', EICAR);
    for (const folder of ['/etc/pam.d', '/usr/lib/modules', '/srv/own']) guest.plant(`${folder}/there`, '');
    const engine = await startEngine(guest, { policy: { neverTouch: ['/srv/own'] } });
    await engine.scan({ mode: 'contain' });
    const id = String(engine.kept().vault[0]?.id);
    const restoring = engine.services.quarantine.restore(id, signal, GuestPath.of(to));
    await expect(restoring).rejects.toMatchObject({ code });
    expect(engine.kept().vault).toMatchObject([{ status: 'held' }]);
    expect(engine.kept().journal).toEqual(['intent contain:file', 'outcome done']);
  });

  it('comes of one of many of the same content, and that one alone is restored', async () => {
    const guest = await serve();
    guest.plant('/srv/a', EICAR);
    guest.plant('/srv/b', EICAR);
    const engine = await startEngine(guest);
    await engine.scan({ mode: 'contain' });
    const ofA = engine.kept().vault.find(({ path }) => path === '/srv/a');
    await engine.services.quarantine.restore(String(ofA?.id), signal, GuestPath.of('/srv/b'));
    const statuses = engine.kept().vault.map(({ path, status }) => [path, status]);
    expect(Object.fromEntries(statuses)).toEqual({ '/srv/a': 'restored', '/srv/b': 'held' });
  });
});
