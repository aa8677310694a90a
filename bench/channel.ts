/** The stages of a scan by themselves, over one connected guest: listing, and content to the spool. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectedGuest, connectGuest } from '../core/capability/connect.ts';
import { loadIdentity } from '../core/channel/identity.ts';
import { defaults } from '../core/config/index.ts';
import { bareSocket } from '../core/hypervisor/sockets.ts';
import { type Fetchable, fetchContents } from '../core/scan/fetch.ts';
import { batched, parallel } from '../core/scan/flow.ts';
import { type FileItem, listFiles } from '../core/scan/inventory.ts';
import { Spool } from '../core/scan/spool.ts';
import type { VmRecord } from '../core/store/records.ts';
import { type Budget, GuestPath } from '../protocol/index.ts';
import { type BenchGuest, startGuest } from './guest.ts';
import { cpuSecondsOfTree, residentMegabytes } from './processes.ts';
import { heading, line, row } from './table.ts';

/** What a stage took. CPU in seconds: of the agent, and of this process with all its children. */
export interface Measured {
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly guestCpu: number;
  readonly hostCpu: number;
}

const signal = new AbortController().signal;
const MAX_FILE_BYTES = defaults().policy.maxFileBytes;
const REQUEST_BYTES = 16 * 1024 * 1024;
const REQUEST_FILES = 512;
const SMALL_BYTES = 16 * 1024;
const REQUESTS_AT_ONCE = 2;

export async function benchChannel(tree: string): Promise<void> {
  heading('channel, one guest');
  const state = mkdtempSync(join(tmpdir(), 'lazaret-bench-state-'));
  try {
    await using guest = await startGuest(tree);
    line(`  the agent (${guest.packaging}) idles at ${residentMegabytes(guest.pid).toFixed(0)} MB resident`);
    const connected = await connect(guest, state);
    const { measured: inventory, items } = await measureInventory(guest, connected);
    row('inventory', inventory);
    // Once for the page cache, so that disks are not what is measured.
    await measureContent(guest, connected, items);
    row('content to the spool', await measureContent(guest, connected, items));
    const small = items.filter(({ facts }) => facts.size <= SMALL_BYTES);
    row(`  files up to ${SMALL_BYTES / 1024} KiB`, await measureContent(guest, connected, small));
    await connected.session.close();
  } finally {
    rmSync(state, { recursive: true });
  }
}

export async function connect(
  guest: BenchGuest,
  state: string,
  budget: Budget = {},
): Promise<ConnectedGuest> {
  const records = new Map<string, VmRecord>();
  const enrolments = {
    find: (id: string) => records.get(id),
    save: (record: VmRecord) => void records.set(record.id, record),
  };
  const needs = ['query:features', 'query:files', 'query:content'] as const;
  const identity = await loadIdentity(state);
  const options = { identity, enrolments, policy: { allow: needs }, needs, clock: Date.now, budget };
  return connectGuest(bareSocket(guest.socket), options);
}

/** Times `work`, which says how many files and bytes it dealt with. */
export async function measure(
  guest: BenchGuest,
  work: () => Promise<{ files: number; bytes: number }>,
): Promise<Measured> {
  const [guestBefore, hostBefore, begun] = [guestSeconds(guest), hostSeconds(guest), performance.now()];
  const done = await work();
  return {
    ...done,
    seconds: (performance.now() - begun) / 1000,
    guestCpu: guestSeconds(guest) - guestBefore,
    hostCpu: hostSeconds(guest) - hostBefore,
  };
}

/** With the processes that the agent has work for it. */
const guestSeconds = (guest: BenchGuest): number => cpuSecondsOfTree(guest.pid);

/** The agent is a child of this process, and no part of the host. */
const hostSeconds = (guest: BenchGuest): number => cpuSecondsOfTree(process.pid) - guestSeconds(guest);

const WHOLE_GUEST = {
  roots: [GuestPath.of('/')],
  excludes: [],
  oneFileSystem: false,
  maxEntries: 50_000_000,
  maxDepth: 256,
  maxSeconds: 3600,
};

export async function measureInventory(guest: BenchGuest, { session }: ConnectedGuest) {
  const items: FileItem[] = [];
  const measured = await measure(guest, async () => {
    let bytes = 0;
    for await (const { line } of listFiles(session, WHOLE_GUEST, signal)) {
      for (const item of line?.files ?? []) {
        bytes += item.facts.size;
        items.push(item);
      }
    }
    return { files: items.length, bytes };
  });
  return { measured, items };
}

/** Fetches the files and lets go of each as soon as it lies in the spool. */
export function measureContent(
  guest: BenchGuest,
  { session }: ConnectedGuest,
  items: readonly FileItem[],
): Promise<Measured> {
  return measure(guest, async () => {
    using spool = Spool.create(defaults().spool.directory, defaults().spool.bytes);
    using share = spool.share();
    const wanted = items.filter(({ facts }) => facts.size <= MAX_FILE_BYTES).map(toFetch);
    const batches = batched(wanted, REQUEST_FILES, REQUEST_BYTES, ({ size }) => size);
    const policy = { maxFileBytes: MAX_FILE_BYTES, digests: [] };
    const fetched = parallel(batches, REQUESTS_AT_ONCE, (batch) =>
      fetchContents(session, batch, share, policy, signal),
    );
    const done = { files: 0, bytes: 0 };
    for await (const group of fetched) {
      for (const each of group) {
        if (!('content' in each)) continue;
        done.files += 1;
        done.bytes += each.content.size;
        each.content.release();
      }
    }
    return done;
  });
}

const toFetch = ({ path, facts }: FileItem): Fetchable & { size: number } => ({
  request: { path: path.wire },
  size: facts.size,
});
