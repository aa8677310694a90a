import { describe, expect, it } from 'vitest';
import { ChannelError } from '../../core/channel/error.ts';
import { type Direction, Port } from './port.ts';
import { ScriptedAgent } from './scripted-agent.ts';
import { agentIdentity, freshPath, keysOf, logInTo } from './setting.ts';

const keys = keysOf(agentIdentity);

/** Bytes of a whole opening and login, with a few to spare: signatures differ in length. */
async function bytesOfLogin(port: Port, path: string, direction: Direction): Promise<number> {
  const session = await logInTo(path);
  const bytes = port.passed[direction];
  await session.close();
  return bytes + 8;
}

async function tryLogIn(path: string): Promise<ChannelError | undefined> {
  try {
    const session = await logInTo(path);
    await session.close();
    return undefined;
  } catch (error) {
    if (error instanceof ChannelError) return error;
    throw error;
  }
}

const EXPECTED = ['no-agent', 'session-lost', 'tls-failed'];
/** Guests beside each other, each of which takes every so-many-th byte: most of the time is spent waiting. */
const LANES = 12;

/** Cuts at `first`, `first + LANES`, …; after each cut the next connection must work. */
async function cutLane(direction: Direction, first: number): Promise<Set<string>> {
  const [agentPath, path] = [freshPath(), freshPath('port.sock')];
  await using _agent = await ScriptedAgent.start(agentPath, { keys });
  await using port = await Port.start(path, agentPath);
  const total = await bytesOfLogin(port, path, direction);
  expect(total).toBeGreaterThan(CERTAIN_FAILURE);
  const codes = new Set<string>();
  for (let after = first; after < total; after += LANES) {
    port.cutNext(direction, after);
    const error = await tryLogIn(path);
    if (error) codes.add(error.code);
    else expect(after).toBeGreaterThan(CERTAIN_FAILURE);
    port.heal();
    expect(await tryLogIn(path)).toBeUndefined();
  }
  return codes;
}

/** No opening can succeed with so few bytes in a direction; with the last few of them it may. */
const CERTAIN_FAILURE = 500;

describe.each<Direction>(['toHost', 'toAgent'])('a channel cut %s', (direction) => {
  it('at any byte of the opening is a coded error, and the next connection works', async () => {
    const lanes = Array.from({ length: LANES }, (_, first) => cutLane(direction, first));
    const codes = new Set((await Promise.all(lanes)).flatMap((lane) => [...lane]));
    expect([...codes].toSorted()).toEqual(EXPECTED);
  }, 300_000);
});
