/**
 * A host in a process of its own, so that its memory can be measured: it works on a healthy guest all the
 * while, lets a hostile one attack it, and tells what came of both.
 */
import { once } from 'node:events';
import { loadIdentity } from '../../core/channel/identity.ts';
import { openChannel } from '../../core/channel/open.ts';
import type { GuestSession } from '../../core/channel/session.ts';

export interface FloodOrder {
  readonly state: string;
  readonly healthy: string;
  readonly hostile: string;
  readonly ask: 'files' | 'content';
}
export interface FloodReport {
  /** Codes of the request's error and of the session's. */
  readonly request: string;
  readonly session: string;
  /** Resident bytes more than before the attack, after a collection. */
  readonly growth: number;
  /** Rounds of work that the healthy session finished from beginning to end of the attack; at least one began after it. */
  readonly rounds: number;
}

const INVENTORY = {
  ...{ roots: ['/'], excludes: [], oneFileSystem: true },
  ...{ maxEntries: 100_000, maxDepth: 64, maxSeconds: 60 },
};
const FILES = Array.from({ length: 50 }, (_, index) => ({ path: `/f${index}` }));

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const item of items) if (item === undefined) throw new Error('an empty answer');
}

async function work(session: GuestSession): Promise<void> {
  await drain(session.listFiles(INVENTORY));
  await drain(session.readContent({ files: FILES, maxFileBytes: 1000 }));
}

async function logIn(socket: string, state: string): Promise<GuestSession> {
  const channel = await openChannel(socket, await loadIdentity(state));
  return channel.login(async () => ({ session: crypto.randomUUID(), epoch: 1 }));
}

function residentBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

const codeOf = (error: unknown): string => String((error as { code?: string } | undefined)?.code);

async function attack(session: GuestSession, ask: FloodOrder['ask']): Promise<string> {
  const content = { files: [{ path: '/x' }], maxFileBytes: 64 * 1024 * 1024 };
  try {
    await drain(ask === 'files' ? session.listFiles(INVENTORY) : session.readContent(content));
    return 'no error';
  } catch (error) {
    return codeOf(error);
  }
}

async function run({ state, healthy, hostile, ask }: FloodOrder): Promise<FloodReport> {
  const good = await logIn(healthy, state);
  for (let round = 0; round < 20; round++) await work(good);
  const bad = await logIn(hostile, state);
  const before = residentBytes();
  let over = false;
  let rounds = 0;
  const beside = (async () => {
    for (let last = false; !last; rounds++) {
      last = over;
      await work(good);
    }
  })();
  const request = await attack(bad, ask);
  const session = codeOf(await bad.ended);
  over = true;
  await beside;
  const growth = residentBytes() - before;
  await good.close();
  return { request, session, growth, rounds };
}

for (;;) {
  const [order] = (await once(process, 'message')) as [FloodOrder];
  process.send?.(await run(order));
}
