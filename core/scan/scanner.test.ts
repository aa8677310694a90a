/** Which guests are scanned, where some of them do not answer. */
import 'reflect-metadata';
import { describe, expect, it } from 'vitest';
import { report } from '../../test/records.ts';
import { defaults, LiveSettings } from '../config/index.ts';
import { bareSocket } from '../hypervisor/sockets.ts';
import type { GuestAccess, OpenSession } from '../vm-session.ts';
import type { ScanHooks } from './report.ts';
import { Scanner } from './scanner.ts';

/** A guest of this name, scanned by `run`. */
const access = (run: GuestAccess['scan']['run']): GuestAccess => ({
  guest: {} as GuestAccess['guest'],
  scan: { run },
  [Symbol.asyncDispose]: async () => undefined,
});

const request = (name: string) => ({
  domain: bareSocket(`/run/${name}.sock`, name),
  ...({ mode: 'detect', dryRun: false, fresh: false, roots: [] } as const),
});

const until = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });

function scanner(open: OpenSession): Scanner {
  const settings = { ...defaults(), scan: { guestsAtOnce: 2 } };
  return new Scanner(open, new LiveSettings(settings));
}

describe('guests that are slow', () => {
  it.each([
    ['in answering at all', true],
    ['in what they are asked for', false],
  ])('%s take no place from the others', async (_, isDeaf) => {
    const stop = new AbortController();
    const begun: string[] = [];
    const own = scanner(async ({ name }, signal) => {
      begun.push(name);
      if (name.startsWith('slow') && isDeaf) return until(signal);
      return access(async (_order, { signal: ending, pace }: ScanHooks) =>
        name.startsWith('slow') ? (pace?.waiting(until(ending)) as Promise<never>) : report(),
      );
    });
    const slow = ['slow-1', 'slow-2', 'slow-3'].map((name) =>
      own.scan(request(name), { signal: stop.signal }),
    );
    const healthy = Array.from({ length: 5 }, (_, number) =>
      own.scan(request(`healthy-${number}`), { signal: new AbortController().signal }),
    );
    expect(await Promise.all(healthy)).toHaveLength(5);
    stop.abort(new Error('enough'));
    const ends = await Promise.allSettled(slow);
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(begun).toHaveLength(8);
  });

  it('that work this host keep their places', async () => {
    const busy = Promise.withResolvers<void>();
    const begun: string[] = [];
    const own = scanner(async ({ name }) => {
      begun.push(name);
      return access(async (_order, { pace }) => {
        await pace?.working(busy.promise);
        return report();
      });
    });
    const { signal } = new AbortController();
    const scans = ['a', 'b', 'c'].map((name) => own.scan(request(name), { signal }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(begun).toEqual(['a', 'b']);
    busy.resolve();
    await Promise.all(scans);
    expect(begun).toEqual(['a', 'b', 'c']);
  });
});
