import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test, vi } from 'vitest';
import { event } from '../../../test/events/events.ts';
import { down, emit, errorOf, OutboxBench, series, uidsIn } from '../../../test/events/outbox-bench.ts';
import { scriptedOutlet } from '../../../test/events/outlets.ts';
import { DeliveryError } from '../../error.ts';
import { OutboxStore } from './store.ts';

const bench = new OutboxBench();

describe('events', () => {
  test('reach every sink in their order, with the time at which they were accepted', async () => {
    const [one, other] = [scriptedOutlet('one'), scriptedOutlet('other', { events: 2, bytes: 2 ** 20 })];
    const box = bench.open([one, other]);
    box.start();
    await emit(box, ...series(5));
    await box.emit(event('last'));
    await Promise.all([one.has(6), other.has(6)]);
    for (const outlet of [one, other]) expect(uidsIn(outlet.got)).toEqual([...series(5), 'last']);
    expect(other.tries.every((count) => count <= 2)).toBe(true);
    const { metadata, ...rest } = event('last');
    expect(JSON.parse(one.got[5]?.json ?? '')).toEqual({
      ...rest,
      metadata: { ...metadata, logged_time: bench.clock.now() },
    });
    expect(box.status()).toMatchObject({ events: 0, bytes: 0, rejected: 0 });
  });

  test('of one turn share one write', async () => {
    const append = vi.spyOn(OutboxStore.prototype, 'append');
    try {
      const outlet = scriptedOutlet();
      const box = bench.open([outlet], { bytes: 2 ** 24 });
      await emit(box, ...series(1000));
      expect(append).toHaveBeenCalledTimes(1);
      box.start();
      await outlet.has(1000);
    } finally {
      append.mockRestore();
    }
  });

  test('wait for a sink that comes after a restart, and are not sent again to one that has them', async () => {
    const [fast, slow] = [scriptedOutlet('fast'), scriptedOutlet('slow')];
    slow.respond = down;
    const first = bench.open([fast, slow]);
    first.start();
    await emit(first, ...series(3));
    await fast.has(3);
    await first.stop(0);
    const [fastAgain, slowAgain] = [scriptedOutlet('fast'), scriptedOutlet('slow')];
    const second = bench.open([fastAgain, slowAgain]);
    second.start();
    await emit(second, 'later');
    await Promise.all([slowAgain.has(4), fastAgain.has(1)]);
    expect(uidsIn(slowAgain.got)).toEqual([...series(3), 'later']);
    expect(uidsIn(fastAgain.got)).toEqual(['later']);
  });

  test('wait for a sink that is new as far as they are there; one that was taken out holds nothing back', async () => {
    const old = scriptedOutlet('old');
    const first = bench.open([old]);
    await emit(first, ...series(3));
    await first.stop(0);
    const added = scriptedOutlet('added');
    const second = bench.open([added]);
    second.start();
    await added.has(3);
    expect(uidsIn(added.got)).toEqual(series(3));
    expect(second.status()).toMatchObject({ events: 0, sinks: [{ sink: 'added', queued: 0 }] });
  });

  test('go to other sinks after a reload, none twice that has arrived, and none is lost meanwhile', async () => {
    const [kept, gone] = [scriptedOutlet('kept'), scriptedOutlet('gone')];
    gone.respond = down;
    const box = bench.open([kept, gone]);
    box.start();
    await emit(box, ...series(3));
    await kept.has(3);
    const [keptAgain, added] = [scriptedOutlet('kept'), scriptedOutlet('added')];
    const reloaded = box.use({ outlets: [keptAgain, added], bytes: 2 ** 21 });
    await emit(box, 'meanwhile');
    await reloaded;
    await emit(box, 'later');
    await Promise.all([keptAgain.has(2), added.has(5)]);
    expect(uidsIn(keptAgain.got)).toEqual(['meanwhile', 'later']);
    expect(uidsIn(added.got)).toEqual([...series(3), 'meanwhile', 'later']);
    expect(box.status()).toMatchObject({ limit: 2 ** 21, sinks: [{ sink: 'kept' }, { sink: 'added' }] });
    expect(box.status().sinks[0]?.delivered).toBe(5);
  });

  test('go nowhere, and take no room, where no sink is configured', async () => {
    const box = bench.open([]);
    box.start();
    await emit(box, ...series(3));
    expect(box.status()).toMatchObject({ events: 0, sinks: [] });
    expect(box.canAccept()).toBe(true);
  });

  test('are delivered before a stop as far as time allows', async () => {
    const [one, stuck] = [scriptedOutlet('one'), scriptedOutlet('stuck')];
    stuck.respond = (_, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const box = bench.open([one, stuck]);
    box.start();
    const accepted = emit(box, ...series(3));
    const stopped = box.stop(5_000);
    await accepted;
    await one.has(3);
    bench.clock.advance(5_000);
    await stopped;
    expect(uidsIn(one.got)).toEqual(series(3));
    expect(await errorOf(box.emit(event('late')))).toMatchObject({ code: 'stopped' });
    expect(OutboxStore.open(bench.directory).events).toBe(3);
  });
});

describe('a sink that is down', () => {
  test('for a minute gets every event, in order, and the other one does not wait for it', async () => {
    const [flaky, steady] = [scriptedOutlet('flaky'), scriptedOutlet('steady')];
    const back = bench.clock.now() + 60_000;
    flaky.respond = () => (bench.clock.now() < back ? down() : undefined);
    const box = bench.open([flaky, steady]);
    box.start();
    for (let second = 0; second < 60; second++) {
      await emit(box, `e${second}`);
      await steady.has(second + 1);
      await bench.clock.asleep();
      bench.clock.advance(1_000);
    }
    expect(flaky.got).toEqual([]);
    expect(box.status().sinks[0]).toMatchObject({
      queued: 60,
      oldestAgeMs: 60_000,
      lastError: { message: 'nobody is there' },
    });
    bench.clock.advance(await bench.clock.asleep());
    await flaky.has(60);
    expect(uidsIn(flaky.got)).toEqual(series(60));
    await box.stop(0);
    expect(bench.logger.warn).toHaveBeenCalledTimes(1);
    expect(bench.logger.info).toHaveBeenCalledTimes(1);
  });

  test('is tried less and less often, up to a minute, or when it asks to be', async () => {
    const outlet = scriptedOutlet();
    outlet.respond = down;
    const box = bench.open([outlet]);
    box.start();
    await emit(box, 'e');
    const waits: number[] = [];
    for (let turn = 0; turn < 9; turn++) {
      waits.push(await bench.clock.asleep());
      if (turn === 7) {
        outlet.respond = () => {
          throw new DeliveryError('busy', 'later', { retryAfter: 300_000 });
        };
      }
      bench.clock.advance(waits.at(-1) ?? 0);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 300_000]);
    const asked = await bench.clock.asleep();
    outlet.respond = () => undefined;
    bench.clock.advance(asked);
    await outlet.has(1);
    await box.stop(0);
  });
});

describe('an event that cannot be read', () => {
  test('costs itself: those behind it are delivered, and it is told', async () => {
    const deaf = scriptedOutlet('sink');
    deaf.respond = down;
    const first = bench.open([deaf]);
    first.start();
    await emit(first, ...series(4));
    await first.stop(0);
    const spool = new DatabaseSync(join(bench.directory, 'outbox.db'));
    spool.exec("UPDATE events SET time = 9223372036854775807 WHERE uid = 'e1'");
    spool.exec("UPDATE events SET size = -9223372036854775808 WHERE uid = 'e2'");
    spool.exec("INSERT INTO positions VALUES ('other', 9223372036854775807)");
    spool.close();
    const sink = scriptedOutlet('sink');
    const second = bench.open([sink]);
    second.start();
    await emit(second, 'later');
    await sink.has(3);
    expect(uidsIn(sink.got)).toEqual(['e0', 'e3', 'later']);
    expect(bench.logger.warn.mock.calls.filter(([line]) => line.includes('cannot be read'))).toHaveLength(1);
    expect(second.status()).toMatchObject({ events: 0, bytes: 0 });
  });

  test('is not taken, and takes none with it', async () => {
    const sink = scriptedOutlet('sink');
    const box = bench.open([sink]);
    box.start();
    const odd = box.emit({ ...event('odd'), time: Number.POSITIVE_INFINITY });
    const good = box.emit(event('good'));
    await expect(odd).rejects.toMatchObject({ code: 'spool-failed' });
    await good;
    await sink.has(1);
    expect(uidsIn(sink.got)).toEqual(['good']);
    expect(box.status().rejected).toBe(1);
  });
});
