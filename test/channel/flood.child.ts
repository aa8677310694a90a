/**
 * A host in a process of its own, so that its memory can be measured: it works on a healthy guest all the
 * while, lets a hostile one attack it, and tells what came of both.
 */
import { once } from 'node:events';
import { loadIdentity } from '../../core/channel/identity.ts';
import { openChannel } from '../../core/channel/open.ts';
import type { GuestSession } from '../../core/channel/session.ts';
import { Detection } from '../../core/scan/detect.ts';
import { ProcessScan } from '../../core/scan/process-scan.ts';
import type { Unscanned } from '../../core/scan/report.ts';
import type { ScanContext } from '../../core/scan/scan-context.ts';
import { Tally } from '../../core/scan/tally.ts';
import { ProcessOriginDetector } from '../../plugins/detectors/process-origin/process-origin-detector.ts';

export interface FloodOrder {
  readonly state: string;
  readonly healthy: string;
  readonly hostile: string;
  readonly ask: 'files' | 'content' | 'processes';
}
export interface FloodReport {
  /** Codes of the request's error and of the session's. */
  readonly request: string;
  readonly session: string;
  /** What could not be judged, of processes. */
  readonly unscanned: readonly Unscanned[];
  /** Resident bytes more than before the attack, after a collection. */
  readonly growth: number;
  /** The same of bytes that are in use. */
  readonly held: number;
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

/** To be called after a collection. */
function bytesInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const codeOf = (error: unknown): string => String((error as { code?: string } | undefined)?.code);

/** Judges the processes as a scan does. */
async function judgeProcesses(session: GuestSession, tally: Tally): Promise<void> {
  const { signal } = new AbortController();
  const detector = new ProcessOriginDetector('1');
  const scan = {
    ...{ tally, detection: new Detection([{ id: 'process-origin', detector }]), guilty: new Map() },
    guest: { session, instructionSet: { instructions: ['query:processes'] } },
    responder: { observe: () => undefined },
    circumstances: { vm: 'vm', scan: 'scan', at: 0 },
    answer: async () => undefined,
  };
  await new ProcessScan(scan as unknown as ScanContext).run(signal);
}

async function attack(session: GuestSession, ask: FloodOrder['ask'], tally: Tally): Promise<string> {
  const content = { files: [{ path: '/x' }], maxFileBytes: 64 * 1024 * 1024 };
  try {
    if (ask === 'processes') await judgeProcesses(session, tally);
    else await drain(ask === 'files' ? session.listFiles(INVENTORY) : session.readContent(content));
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
  const inUseBefore = bytesInUse();
  let over = false;
  let rounds = 0;
  const beside = (async () => {
    for (let last = false; !last; rounds++) {
      last = over;
      await work(good);
    }
  })();
  const tally = new Tally();
  const request = await attack(bad, ask, tally);
  // A list of processes that is too long is cut, and costs no session.
  if (ask === 'processes') await bad.close();
  const session = codeOf(await bad.ended);
  over = true;
  await beside;
  const growth = residentBytes() - before;
  const held = bytesInUse() - inUseBefore;
  await good.close();
  return { request, session, growth, held, rounds, unscanned: tally.unscanned };
}

for (;;) {
  const [order] = (await once(process, 'message')) as [FloodOrder];
  process.send?.(await run(order));
}
