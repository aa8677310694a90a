/**
 * A guest that means harm beside a healthy one, in one service: what it costs the service in memory, and its
 * neighbour in time. The hostile guest is a tree that the real agent serves: files that start half a million things,
 * thousands of files of malware, names of 255 bytes. It is scanned without a pause.
 *
 * All of it shares the cores of this machine, also the hostile guest's agent, which has cores of its own where guests
 * are virtual machines. So its own use of the processor is told as well.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { startGuest } from './guest.ts';
import { cpuSeconds, forgetPeak, peakMegabytes } from './processes.ts';
import { Service } from './service.ts';
import { figure, heading, line } from './table.ts';
import { FLOODED_HASH, flooded, some } from './trees.ts';

const HEALTHY = 'guest-0';
const HOSTILE = 'guest-1';
const SCANS = 40;
const AGAIN_MS = 20;
const MOST_MEGABYTES = 256 + 2 * 2;
/** To the healthy guest's p99, as a ratio. */
const MOST_SLOWER = 1.1;

interface Times {
  readonly p50: number;
  readonly p99: number;
}

export async function benchHostile(tree: string, rules: string): Promise<void> {
  heading('a hostile guest beside a healthy one');
  using small = some(tree);
  using flood = flooded();
  await using healthy = await startGuest(small.root);
  await using hostile = await startGuest(flood.root);
  await using service = await Service.start([healthy, hostile], rules, {}, { hashes: [FLOODED_HASH] });
  await scan(service, HEALTHY);
  const alone = await repeated(service);
  tell('alone', alone);
  forgetPeak(service.pid);
  const before = {
    service: cpuSeconds(service.pid),
    hostile: cpuSeconds(hostile.pid),
    at: performance.now(),
  };
  const stop = new AbortController();
  const flooding = floodUntil(service, stop.signal);
  await service.scanning(1);
  const beside = await repeated(service);
  stop.abort();
  const floods = await flooding;
  tell('beside the hostile one', beside);
  const seconds = (performance.now() - before.at) / 1000;
  const share = (used: number) => `${((100 * used) / seconds).toFixed(0)} % of a core`;
  const ofService = cpuSeconds(service.pid) - before.service;
  const ofHostile = cpuSeconds(hostile.pid) - before.hostile;
  line(
    `  meanwhile ${floods} scans of the hostile one ended; the service took ${share(ofService)}, the hostile agent ${share(ofHostile)}`,
  );
  figure('the healthy p99, beside : alone', beside.p99 / alone.p99, '', 'at most', MOST_SLOWER);
  figure('the healthy p50, beside : alone', beside.p50 / alone.p50, '', 'at most', MOST_SLOWER);
  figure('resident at most meanwhile', peakMegabytes(service.pid), ' MB', 'at most', MOST_MEGABYTES);
}

const tell = (how: string, { p50, p99 }: Times): void =>
  line(`  ${SCANS} scans of the healthy guest, ${how}: p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`);

async function repeated(service: Service): Promise<Times> {
  const times: number[] = [];
  for (let count = 0; count < SCANS; count++) times.push(await scan(service, HEALTHY));
  times.sort((one, other) => one - other);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

/** How often it was scanned. A failure is no end: what is hostile is refused. */
async function floodUntil(service: Service, signal: AbortSignal): Promise<number> {
  for (let count = 0; ; count++) {
    const { id } = await service.client.startScan({ vm: HOSTILE, fresh: true });
    for (;;) {
      if ((await service.client.scan(id)).finishedAt !== undefined) break;
      if (signal.aborted) {
        await service.client.cancelScan(id);
        return count;
      }
      await pause(AGAIN_MS);
    }
  }
}

/** From the moment at which it is asked for to its end, in milliseconds; the whole of it, as nothing is known. */
async function scan(service: Service, vm: string): Promise<number> {
  const { id } = await service.client.startScan({ vm, fresh: true });
  for (;;) {
    const { finishedAt, queuedAt } = await service.client.scan(id);
    if (finishedAt !== undefined) return finishedAt - queuedAt;
    await pause(AGAIN_MS);
  }
}
