/** What an agent takes of its guest when it was given a budget: CPU time beside time, bytes read beside time. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectedGuest } from '../core/capability/connect.ts';
import type { FileItem } from '../core/scan/inventory.ts';
import { type Budget, LIMITS } from '../protocol/index.ts';
import { connect, type Measured, measure, measureContent, measureInventory } from './channel.ts';
import { type BenchGuest, startGuest } from './guest.ts';
import { figure, heading } from './table.ts';

const CPU_PERCENT = 10;
const MiB = 1024 * 1024;
const READ_MIB = 10;
/** A small surplus is granted at the start, and not all that runs is seen at once. */
const TOLERANCE = 1.1;
const FILES = 2000;
const REQUEST_FILES = 128;

export async function benchBudget(tree: string): Promise<void> {
  heading('an agent with a budget');
  await within({ cpuPercent: CPU_PERCENT }, tree, async (guest, connected) => {
    const { measured, items } = await measureInventory(guest, connected);
    share('listing', measured);
    const some = items.slice(0, FILES);
    share('digests', await measure(guest, () => digests(connected, some)));
    share('contents', await measureContent(guest, connected, some));
  });
  await within({ readBytesPerSecond: READ_MIB * MiB }, tree, async (guest, connected) => {
    const { items } = await measureInventory(guest, connected);
    const before = readBytes(guest.pid);
    const { seconds } = await measureContent(guest, connected, items.slice(0, FILES));
    const speed = (readBytes(guest.pid) - before) / MiB / seconds;
    figure('contents', speed, ' MiB/s read', 'at most', READ_MIB * TOLERANCE);
  });
}

async function within(
  budget: Budget,
  tree: string,
  work: (guest: BenchGuest, connected: ConnectedGuest) => Promise<void>,
): Promise<void> {
  const state = mkdtempSync(join(tmpdir(), 'lazaret-bench-state-'));
  try {
    await using guest = await startGuest(tree);
    const connected = await connect(guest, state, budget);
    await work(guest, connected);
    await connected.session.close();
  } finally {
    rmSync(state, { recursive: true });
  }
}

const share = (name: string, { guestCpu, seconds }: Measured): void =>
  figure(name, (100 * guestCpu) / seconds, ' % of a core', 'at most', CPU_PERCENT * TOLERANCE);

async function digests({ session }: ConnectedGuest, items: readonly FileItem[]) {
  const done = { files: 0, bytes: 0 };
  for (let at = 0; at < items.length; at += REQUEST_FILES) {
    const files = items.slice(at, at + REQUEST_FILES).map(({ path }) => ({ path: path.wire }));
    for await (const claim of session.claimDigests({ files, maxFileBytes: LIMITS.stagedBytes })) {
      if (!('sha256' in claim)) continue;
      done.files += 1;
      done.bytes += claim.facts.size;
    }
  }
  return done;
}

/** What a process has read, from disks or out of memory (proc_pid_io(5)). */
function readBytes(pid: number): number {
  const [, bytes = ''] = /^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1')) ?? [];
  return Number(bytes);
}
