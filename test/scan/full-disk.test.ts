/** Scans while the disk of the state directory takes no more: what is found is told, and nothing is done that could not be written down. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { need } from '../need.ts';
import type { TestEngine } from './engine.ts';
import { MARKER, type ServedFolder } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

const MIB = 2 ** 20;
const SMALL = '24m';
/** More than what SQLite can write over in its log without a byte of new space. */
const PLANTED = 500;
const mounted: string[] = [];
afterEach(() => {
  for (const place of mounted.splice(0)) spawnSync('umount', ['--lazy', place]);
});

const mount = (place: string): boolean =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL},mode=0700`, 'tmpfs', place]).status === 0;

function mayMount(): boolean {
  const place = mkdtempSync(join(tmpdir(), 'lazaret-mount-'));
  try {
    return mount(place) && spawnSync('umount', [place]).status === 0;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

const ready = need({
  what: 'the right to mount a tmpfs',
  there: mayMount(),
  get: 'run it as root, outside of a container',
});

const fillerOf = (guest: ServedFolder): string => join(guest.directory, 'state', 'filler');

/** Writes until nothing more is taken. */
function fill(guest: ServedFolder): void {
  const file = openSync(fillerOf(guest), 'w');
  try {
    for (let bytes = MIB; bytes > 0; ) {
      try {
        if (writeSync(file, Buffer.alloc(bytes)) < bytes) bytes = Math.floor(bytes / 2);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        bytes = Math.floor(bytes / 2);
      }
    }
  } finally {
    closeSync(file);
  }
}

async function onSmallDisk(
  options: Parameters<typeof startEngine>[1] = {},
): Promise<[ServedFolder, TestEngine]> {
  const guest = await serve();
  const state = join(guest.directory, 'state');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  mounted.push(state);
  expect(mount(state)).toBe(true);
  guest.plant('/etc/motd', 'welcome\n');
  const engine = await startEngine(guest, options);
  await engine.scan();
  return [guest, engine];
}

describe.runIf(ready)('a disk that is full', () => {
  it('keeps no guest from being looked at; what is found and cannot be kept is told as such', async () => {
    const [guest, engine] = await onSmallDisk();
    for (let number = 0; number < PLANTED; number++) guest.plant(`/srv/${number}`, `${MARKER} ${number}`);
    fill(guest);
    const report = await engine.scan();
    const { unscanned = {} } = report.scan.summary ?? {};
    expect(unscanned['not-recorded']).toBeGreaterThan(0);
    expect(report.findings.length + (unscanned['not-recorded'] ?? 0)).toBe(PLANTED);
    expect(report.unscanned[0]).toMatchObject({
      reason: 'not-recorded',
      detail: expect.stringMatching(/malicious \(Scan_Test_Marker\).*the disk is full/),
    });
    // What counts as found is on record, and nothing else.
    expect(
      engine
        .kept()
        .findings.map(({ id }) => id)
        .toSorted(),
    ).toEqual(report.findings.map(({ id }) => id).toSorted());
    rmSync(fillerOf(guest));
    const after = await engine.scan();
    expect(after.findings).toHaveLength(PLANTED);
    expect(after.scan.summary?.unscanned).toEqual({});
  }, 120_000);

  it('has nothing done in a guest, and what is there contained when there is room', async () => {
    const [guest, engine] = await onSmallDisk({ vault: { keepFree: 1 } });
    guest.plant('/srv/large', `${MARKER}${'x'.repeat(2 * MIB)}`);
    fill(guest);
    const [found] = (await engine.scan({ mode: 'contain' })).findings;
    expect(found === undefined || found.response === 'failed').toBe(true);
    expect(guest.has('/srv/large')).toBe(true);
    rmSync(fillerOf(guest));
    expect((await engine.scan({ mode: 'contain' })).findings).toMatchObject([{ response: 'contained' }]);
    expect(guest.has('/srv/large')).toBe(false);
  }, 60_000);

  it('is not what the vault makes of it: the last of it is left to findings and journal', async () => {
    const [guest, engine] = await onSmallDisk({ vault: { keepFree: 12 * MIB, maxBytes: 2 ** 40 } });
    for (let number = 0; number < 8; number++)
      guest.plant(`/srv/${number}`, `${number}${MARKER}${'x'.repeat(4 * MIB)}`);
    const report = await engine.scan({ mode: 'contain' });
    const responses = Map.groupBy(report.findings, ({ response }) => response);
    expect(report.findings).toHaveLength(8);
    expect(responses.get('contained')?.length).toBeGreaterThan(0);
    const failed = responses.get('failed') ?? [];
    expect(failed.length).toBeGreaterThan(0);
    for (const { reason } of failed) expect(reason).toMatch(/the vault is full.*vault\.keepFree.*purge/);
    expect(report.scan.summary?.unscanned).toEqual({});
    expect(engine.events.filter(({ class_uid }) => class_uid === 6008)).toHaveLength(1);
  }, 60_000);
});
