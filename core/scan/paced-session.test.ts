import { describe, expect, it } from 'vitest';
import { connected } from '../../test/scan/scripted-session.ts';
import type { GuestSession, ListedLine } from '../channel/session.ts';
import { EARNED, Pace } from './pace.ts';
import { PacedSession } from './paced-session.ts';

const REQUEST = { roots: ['/'], excludes: [], oneFileSystem: false, maxEntries: 1e6, maxDepth: 10 };

/** Each line comes after so many milliseconds. */
function dripping(every: number, lines: ListedLine[]) {
  let now = 0;
  const clock = () => now;
  const inner = connected({ files: [] }).session;
  let ended = false;
  const listFiles: GuestSession['listFiles'] = async function* () {
    try {
      for (const line of lines) {
        now += every;
        yield line;
      }
    } finally {
      ended = true;
    }
  };
  const slow = Object.assign(Object.create(inner) as GuestSession, { listFiles });
  const session = new PacedSession(slow, new Pace(clock), clock);
  return { session, hasEnded: () => ended };
}

const file = (name: string) => [name, '1', 1, '1.0', '1.0', 0, 0, 0, 1] as never;
const many = (count: number): ListedLine[] =>
  Array.from({ length: count }, (_, at) => ({
    ...{ type: 'directory', path: `/${at}`, dev: '1', digest: String(at) },
    files: [file('x')],
  }));

describe('a listing', () => {
  it('comes as it is from a guest that keeps up', async () => {
    const lines = many(1_000);
    const { session } = dripping(10, lines);
    expect(await Array.fromAsync(session.listFiles({ ...REQUEST, maxSeconds: 60 }))).toEqual(lines);
  });

  it('ends at the time that policy gives it, whatever the agent says', async () => {
    const { session, hasEnded } = dripping(50, many(1_000_000));
    const listed = Array.fromAsync(session.listFiles({ ...REQUEST, maxSeconds: 60 }));
    await expect(listed).rejects.toMatchObject({
      code: 'too-slow',
      message: expect.stringContaining('maxTime'),
    });
    expect(hasEnded()).toBe(true);
  });

  it('that drips ends', async () => {
    const { session } = dripping(5_000, many(1_000_000));
    const listed = Array.fromAsync(session.listFiles({ ...REQUEST, maxSeconds: 7_200 }));
    await expect(listed).rejects.toMatchObject({ code: 'too-slow' });
  });

  it('that is left early ends in the guest', async () => {
    const { session, hasEnded } = dripping(1, many(10));
    for await (const line of session.listFiles({ ...REQUEST, maxSeconds: 60 })) if (line) break;
    expect(hasEnded()).toBe(true);
  });
});

describe('a command', () => {
  it('is answered however slow its guest is: what was done is told', async () => {
    const pace = new Pace();
    pace.giveWay();
    const session = new PacedSession(connected({}).session, pace);
    expect(await session.send({} as never)).toEqual({ code: 'done' });
    expect(EARNED.outcome).toBeGreaterThan(0);
    await expect(Array.fromAsync(session.listProcesses())).rejects.toMatchObject({ code: 'too-slow' });
  });
});
