/**
 * Asks the API at a steady rate, whether or not it keeps up (an open loop: what waits is part of the time it took).
 * A process of its own: `api-load.ts SOCKET RATE SECONDS`, then one line of JSON.
 */
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const CONNECTIONS = 32;
const PATHS = ['/v1/vms', '/v1/scans?limit=20', '/v1/findings?limit=20', '/readyz'];
const TICK_MS = 2;

export interface Load {
  readonly asked: number;
  readonly failed: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const [socketPath = '', rate = '500', seconds = '10'] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
const times: number[] = [];
let failed = 0;

function ask(path: string, due: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (isFine: boolean) => {
      times.push(performance.now() - due);
      if (!isFine) failed += 1;
      resolve();
    };
    const asked = request({ socketPath, path, agent }, (answer) => {
      answer.resume().once('end', () => done(answer.statusCode === 200));
    });
    asked.once('error', () => done(false)).end();
  });
}

const begun = performance.now();
const until = begun + Number(seconds) * 1000;
const under: Promise<void>[] = [];
let count = 0;
while (performance.now() < until) {
  const due = Math.floor(((performance.now() - begun) * Number(rate)) / 1000);
  for (; count < due; count++) {
    under.push(ask(PATHS[count % PATHS.length] as string, begun + (count * 1000) / Number(rate)));
  }
  await pause(TICK_MS);
}
await Promise.all(under);
agent.destroy();
times.sort((one, other) => one - other);
const at = (share: number): number =>
  times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
const load: Load = { asked: count, failed, p50: at(0.5), p99: at(0.99), most: times.at(-1) ?? Number.NaN };
process.stdout.write(`${JSON.stringify(load)}\n`);
