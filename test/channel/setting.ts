/** What the channel's tests share: a folder for sockets, identities, quick deadlines. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Deadlines } from '../../core/channel/deadline.ts';
import type { ChannelError, ChannelErrorCode } from '../../core/channel/error.ts';
import { type Identity, loadIdentity } from '../../core/channel/identity.ts';
import { openChannel } from '../../core/channel/open.ts';
import type { GuestSession } from '../../core/channel/session.ts';
import type { Keys } from './scripted-agent.ts';

const folder = mkdtempSync(join(tmpdir(), 'lazaret-channel-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
export const freshPath = (name = 'agent.sock'): string => join(folder, `${++count}-${name}`);

export const hostIdentity: Identity = await loadIdentity(join(folder, 'host'));
/** An agent's certificate has the same shape as a host's. */
export const agentIdentity: Identity = await loadIdentity(join(folder, 'agent'));
export const otherIdentity: Identity = await loadIdentity(join(folder, 'other'));

export const keysOf = ({ key, certificate }: Identity): Keys => ({ key, certificate });

/** Deadlines that a healthy agent meets with ease on a busy machine. */
export const QUICK: Deadlines = {
  resyncRepeat: 20,
  resync: 2_000,
  tls: 5_000,
  login: 5_000,
  command: 5_000,
  streamIdle: 5_000,
  answer: 20_000,
  heartbeat: 30_000,
};

export const admitAll = async () => ({ session: crypto.randomUUID(), epoch: 1 });

export async function logInTo(socket: string, deadlines: Deadlines = QUICK): Promise<GuestSession> {
  const channel = await openChannel(socket, hostIdentity, { deadlines });
  return channel.login(admitAll);
}

export async function codeOf(work: Promise<unknown>): Promise<ChannelErrorCode | 'no error'> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return (error as ChannelError).code;
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
