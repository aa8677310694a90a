import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { emit, OutboxBench, series, uidsIn } from '../../../test/events/outbox-bench.ts';
import { scriptedOutlet } from '../../../test/events/outlets.ts';
import { DeliveryError } from '../../error.ts';
import type { StoredEvent } from './outlet.ts';

const bench = new OutboxBench();

describe('a sink that refuses', () => {
  const poison = (bad: ReadonlySet<string>) => (batch: readonly StoredEvent[]) => {
    if (batch.some(({ uid }) => bad.has(uid))) throw new DeliveryError('refused', 'it says 400');
  };
  const runUntil = async (done: Promise<void>) => {
    let over = false;
    const end = done.then(() => {
      over = true;
    });
    while (!over) {
      await Promise.race([end, bench.clock.asleep()]);
      if (!over) bench.clock.advance(await bench.clock.asleep());
    }
  };

  test('one event of many gets all others, and that one is put aside', async () => {
    const outlet = scriptedOutlet();
    outlet.respond = poison(new Set(['e37']));
    const box = bench.open([outlet]);
    await emit(box, ...series(100));
    box.start();
    await runUntil(outlet.has(99));
    await box.stop(0);
    expect(uidsIn(outlet.got)).toEqual(series(100).filter((uid) => uid !== 'e37'));
    expect(outlet.tries.filter((count) => count === 1).length).toBeGreaterThanOrEqual(5);
    const lines = readFileSync(join(bench.directory, 'outbox-refused.ndjson'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { sink: 'scripted', reason: 'it says 400', event: { metadata: { uid: 'e37' } } },
    ]);
    expect(statSync(join(bench.directory, 'outbox-refused.ndjson')).mode & 0o077).toBe(0);
    expect(bench.logger.warn).toHaveBeenCalledWith(
      expect.stringContaining('put aside'),
      expect.objectContaining({ events: ['e37'] }),
    );
  });

  test('all events has them put aside, counted, and is not stuck', async () => {
    const outlet = scriptedOutlet();
    outlet.respond = poison(new Set(series(3)));
    const box = bench.open([outlet]);
    await emit(box, ...series(3), 'good');
    box.start();
    await runUntil(outlet.has(1));
    expect(box.status()).toMatchObject({
      events: 0,
      sinks: [{ delivered: 1, refused: 3, queued: 0, failures: 0 }],
    });
  });
});
