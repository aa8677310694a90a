import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { uidsOf } from '../../../test/events/events.ts';
import { emit, OutboxBench, series, uidsIn } from '../../../test/events/outbox-bench.ts';
import { scriptedOutlet } from '../../../test/events/outlets.ts';
import { fileOutlet } from '../outlets/file.ts';

const bench = new OutboxBench();

describe('a crash', () => {
  const child = `./outbox.child${extname(import.meta.filename)}`;

  /** Runs until so many events were accepted, kills it, gives what it said to have accepted. */
  async function killedAfter(events: number, run: string, mode: string): Promise<string[]> {
    const program = new URL(child, import.meta.url).pathname;
    const running = spawn(process.execPath, [program, bench.directory, run, mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(running, 'close');
    const accepted: string[] = [];
    for await (const line of createInterface(running.stdout)) {
      accepted.push(line);
      if (accepted.length === events) running.kill('SIGKILL');
    }
    expect((await closed)[1]).toBe('SIGKILL');
    return accepted;
  }

  test('loses nothing that was accepted, and keeps the order', async () => {
    const accepted = await killedAfter(503, 'a', 'keep');
    accepted.push(...(await killedAfter(11, 'b', 'keep')));
    const outlet = scriptedOutlet('file');
    const box = bench.open([outlet], { bytes: 2 ** 26 });
    const { events } = box.status();
    box.start();
    await outlet.has(events);
    // What was written and not yet said may be there too.
    const there = new Set(accepted);
    expect(uidsIn(outlet.got).filter((uid) => there.has(uid))).toEqual(accepted);
    expect(new Set(uidsIn(outlet.got)).size).toBe(outlet.got.length);
    expect(outlet.got.length - accepted.length).toBeLessThanOrEqual(2 * 10);
  });

  test.each([1, 40, 333])(
    'while delivering, after %d: each event arrives, counted once by its id',
    async (events) => {
      const accepted = await killedAfter(events, 'a', 'deliver');
      accepted.push(...(await killedAfter(events, 'b', 'deliver')));
      const path = join(bench.directory, 'events.ndjson');
      const box = bench.open([fileOutlet({ path, maxBytes: 2 ** 30, keep: 1 })], { bytes: 2 ** 26 });
      box.start();
      await box.stop(60_000);
      const arrived = uidsOf(readFileSync(path, 'utf8'));
      const known = new Set(accepted);
      expect([...new Set(arrived)].filter((uid) => known.has(uid))).toEqual(accepted);
    },
  );

  test('that tore the last write apart leaves the rest', async () => {
    const first = bench.open([scriptedOutlet()]);
    await emit(first, ...series(3));
    const crashed = mkdtempSync(join(tmpdir(), 'lazaret-torn-'));
    for (const name of ['outbox.db', 'outbox.db-wal'])
      copyFileSync(join(bench.directory, name), join(crashed, name));
    appendFileSync(join(crashed, 'outbox.db-wal'), Buffer.alloc(3_000, 0x5a));
    const outlet = scriptedOutlet();
    const box = bench.open([outlet], { directory: crashed });
    box.start();
    await emit(box, 'more');
    await outlet.has(4);
    expect(uidsIn(outlet.got)).toEqual([...series(3), 'more']);
    await box.stop(0);
    rmSync(crashed, { recursive: true });
  });

  test.each<[string, (path: string) => void]>([
    ['overwritten', (path) => writeFileSync(path, 'x'.repeat(8_192))],
    [
      'damaged',
      (path) => writeFileSync(path, Buffer.alloc(statSync(path).size - 4_096, 0xff), { flag: 'r+' }),
    ],
    ['cut short', (path) => writeFileSync(path, readFileSync(path).subarray(0, 5_000))],
  ])('after which the spool is %s: it is put aside and said, and events are accepted', async (_, damage) => {
    const first = bench.open([scriptedOutlet()]);
    await emit(first, ...series(300));
    await first.stop(0);
    damage(join(bench.directory, 'outbox.db'));
    const outlet = scriptedOutlet();
    const box = bench.open([outlet]);
    box.start();
    await emit(box, 'after');
    await outlet.has(1);
    expect(uidsIn(outlet.got)).toEqual(['after']);
    expect(bench.logger.warn).toHaveBeenCalledWith(expect.stringContaining('damaged'), expect.anything());
    expect(readdirSync(bench.directory).filter((name) => name.includes('.damaged-'))).not.toEqual([]);
  });

  test('a spool of a newer release is left alone', async () => {
    const { DatabaseSync } = await import('node:sqlite');
    const newer = new DatabaseSync(join(bench.directory, 'outbox.db'));
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    expect(() => bench.open([scriptedOutlet()])).toThrow(expect.objectContaining({ code: 'newer-version' }));
  });
});

test('the spool is private', async () => {
  const box = bench.open([scriptedOutlet()]);
  await emit(box, 'e');
  for (const name of readdirSync(bench.directory))
    expect(statSync(join(bench.directory, name)).mode & 0o077, name).toBe(0);
});
