import { describe, expect, test, vi } from 'vitest';
import { event } from '../../../test/events/events.ts';
import { down, emit, errorOf, OutboxBench, series, uidsIn } from '../../../test/events/outbox-bench.ts';
import { scriptedOutlet } from '../../../test/events/outlets.ts';
import { EventError } from '../../error.ts';
import type { Outbox } from './outbox.ts';
import { OutboxStore } from './store.ts';

const bench = new OutboxBench();

describe('room', () => {
  const LIMIT = 80_000;
  const big = (uid: string, classUid = 2004) =>
    event(uid, { class_uid: classUid, message: 'x'.repeat(1_000) });
  const fill = async (box: Outbox, classUid?: number) => {
    for (let count = 0; ; count++) {
      const error = await box.emit(big(`f${count}`, classUid)).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (error) return { error, count };
    }
  };

  test('runs out for actions first, then for findings, and last for what became of actions', async () => {
    const outlet = scriptedOutlet();
    outlet.respond = down;
    const box = bench.open([outlet], { bytes: LIMIT });
    box.start();
    expect(box.canAccept()).toBe(true);
    let acceptedWhileWithheld = 0;
    for (let count = 0; ; count++) {
      const withheld = box.reasonToWithhold();
      const error = await errorOf(box.emit(big(`f${count}`)));
      if (error instanceof EventError) {
        expect(error).toMatchObject({
          code: 'spool-full',
          message: expect.stringContaining('nobody is there'),
        });
        break;
      }
      if (withheld !== undefined) acceptedWhileWithheld += 1;
    }
    expect(acceptedWhileWithheld).toBeGreaterThan(0);
    expect(box.reasonToWithhold()).toContain('scripted does not keep up (nobody is there)');
    await box.emit(big('an action', 7002));
    const { error, count } = await fill(box, 7003);
    expect(error).toMatchObject({ code: 'spool-full' });
    expect(count).toBeGreaterThan(1);
    expect(box.status().bytes).toBeLessThanOrEqual(LIMIT);
    expect(box.status().rejected).toBe(2);
  });

  test('comes back when the sink does, and nothing that was accepted is lost', async () => {
    const outlet = scriptedOutlet();
    outlet.respond = down;
    const box = bench.open([outlet], { bytes: LIMIT });
    box.start();
    const { count } = await fill(box);
    outlet.respond = () => undefined;
    bench.clock.advance(await bench.clock.asleep());
    await outlet.has(count);
    expect(uidsIn(outlet.got)).toEqual(series(count, 'f'));
    expect(box.canAccept()).toBe(true);
    await box.emit(big('again'));
  });

  test('counts what is not written yet', async () => {
    const box = bench.open([scriptedOutlet()], { bytes: LIMIT });
    const results = await Promise.all(series(200).map((uid) => errorOf(box.emit(big(uid)))));
    expect(results.filter((result) => result instanceof EventError).length).toBeGreaterThan(100);
    expect(box.status().bytes).toBeLessThanOrEqual(LIMIT);
  });

  test('is as it was after a restart', async () => {
    const first = bench.open([scriptedOutlet()], { bytes: LIMIT });
    await fill(first);
    const { bytes, events } = first.status();
    await first.stop(0);
    const second = bench.open([scriptedOutlet()], { bytes: LIMIT });
    expect(second.status()).toMatchObject({ bytes, events });
    expect(second.canAccept()).toBe(false);
  });
});

describe('a disk', () => {
  const failing = (code: number, method: 'append' | 'keep') =>
    vi.spyOn(OutboxStore.prototype, method).mockImplementation(() => {
      throw Object.assign(new Error('outbox.db: the disk is full: make room'), { errcode: code });
    });

  test('that is full: the event is not accepted, actions are withheld until a write succeeds', async () => {
    const outlet = scriptedOutlet();
    const box = bench.open([outlet]);
    const broken = [failing(13, 'append'), failing(13, 'keep')];
    expect(await errorOf(box.emit(event('lost')))).toMatchObject({
      code: 'spool-failed',
      message: expect.stringContaining('disk is full'),
    });
    expect(box.reasonToWithhold()).toContain('disk is full');
    expect(box.status().rejected).toBe(1);
    for (const each of broken) each.mockRestore();
    expect(box.canAccept()).toBe(true);
    await box.emit(event('kept'));
    box.start();
    await outlet.has(1);
    expect(uidsIn(outlet.got)).toEqual(['kept']);
  });

  test('on which a position cannot be kept: nothing is sent twice, it goes on when it can', async () => {
    const outlet = scriptedOutlet();
    const box = bench.open([outlet]);
    const broken = failing(13, 'keep');
    box.start();
    await emit(box, 'one');
    await outlet.has(1);
    await bench.clock.asleep();
    broken.mockRestore();
    bench.clock.advance(await bench.clock.asleep());
    await emit(box, 'two');
    await outlet.has(2);
    expect(uidsIn(outlet.got)).toEqual(['one', 'two']);
    await box.stop(0);
    expect(OutboxStore.open(bench.directory).events).toBe(0);
  });
});
