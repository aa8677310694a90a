import { beforeEach, describe, expect, it } from 'vitest';
import { defaults, type Settings } from '../config/index.ts';
import { ConfigError } from '../error.ts';
import { type Part, Parts, type StartedPart } from './parts.ts';
import { memoryLogger } from './testing/requests.ts';

const before = defaults();
const after: Settings = { ...before, state: '/new', api: { ...before.api, socket: '/new.sock' } };

let done: string[];
let log: ReturnType<typeof memoryLogger>;
let parts: Parts;
beforeEach(() => {
  done = [];
  log = memoryLogger();
  parts = new Parts(log.logger);
});

/** One that says what is done with it; `fails` says when it cannot be started. */
const part = (
  name: string,
  keys: Part['keys'],
  {
    fails = (_: Settings) => false,
    change,
  }: { fails?: (settings: Settings) => boolean; change?: StartedPart['change'] } = {},
): Part => ({
  name,
  keys,
  start: async (settings) => {
    if (fails(settings)) throw new ConfigError('invalid', `${name} cannot be started with ${settings.state}`);
    done.push(`+${name} ${settings.state}`);
    return {
      ...(change && { change }),
      [Symbol.asyncDispose]: async () => void done.push(`-${name}`),
    };
  },
});

const start = async (...all: Part[]): Promise<void> => {
  for (const one of all) await parts.start(one, before);
  done = [];
};

describe('parts of the service', () => {
  it('end in the opposite order, whatever becomes of one', async () => {
    await start(part('a', []), part('c', []));
    const broken = part('b', []);
    await parts.start(
      { ...broken, start: async () => ({ [Symbol.asyncDispose]: () => Promise.reject(new Error('stuck')) }) },
      before,
    );
    await expect(parts[Symbol.asyncDispose]()).rejects.toThrow('stuck');
    expect(done).toEqual(['-c', '-a']);
  });

  it('are started anew where their keys have other values, and no others', async () => {
    await start(part('a', ['state']), part('b', ['log']), part('c', ['log', 'api']));
    await parts.change(before, after);
    expect(done).toEqual(['-a', '+a /new', '-c', '+c /new']);
    done = [];
    await parts.change(after, structuredClone(after));
    expect(done).toEqual([]);
  });

  it('that take other settings while they run are not stopped', async () => {
    const taken: string[] = [];
    await start(part('a', ['state'], { change: async ({ state }) => void taken.push(state) }));
    await parts.change(before, after);
    expect({ done, taken }).toEqual({ done: [], taken: ['/new'] });
  });
});

describe('a change that one part cannot take', () => {
  const fails = ({ state }: Settings) => state === '/new';

  it('is taken by none: all are as they were', async () => {
    const taken: string[] = [];
    const change = async ({ state }: Settings) => void taken.push(state);
    await start(part('a', ['state']), part('m', ['state'], { change }), part('b', ['state'], { fails }));
    await expect(parts.change(before, after)).rejects.toThrow('b cannot be started');
    expect(done).toEqual(['-a', '+a /new', '-b', `+b ${before.state}`, '-a', `+a ${before.state}`]);
    expect(taken).toEqual(['/new', before.state]);
    expect(log.lines).toEqual([]);
  });

  it('and whose old settings do not do any more either, is said, and tried again with the next change', async () => {
    let isBroken = false;
    await start(part('a', ['state'], { fails: () => isBroken }));
    isBroken = true;
    await expect(parts.change(before, after)).rejects.toThrow(`with ${after.state}`);
    expect(log.lines).toMatchObject([
      { level: 'warn', message: expect.stringContaining('a cannot be started') },
    ]);
    isBroken = false;
    await parts.change(before, before);
    expect(done).toEqual(['-a', `+a ${before.state}`]);
    await parts[Symbol.asyncDispose]();
    expect(done.at(-1)).toBe('-a');
  });
});
