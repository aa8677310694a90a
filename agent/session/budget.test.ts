import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Budget } from '../../protocol/index.ts';
import type { TestHost } from '../testing/host.ts';
import { fileTarget, TestAgent } from '../testing/tree.ts';
import type { PaceClock } from './pace.ts';

const MiB = 1024 * 1024;
const NAMES = ['query:files', 'query:content', 'query:processes', 'delete:file'] as const;

/** Sleeps take no time but on this clock; each look at the CPU time finds more of it gone. */
class FakeClock implements PaceClock {
  ms = 0;
  sleptMs = 0;
  private cpuMs = 0;
  private readonly cpuMsEach: number;

  constructor(cpuMsEach = 0) {
    this.cpuMsEach = cpuMsEach;
  }

  now(): number {
    this.ms += this.cpuMsEach;
    return this.ms;
  }

  cpu(): number {
    this.cpuMs += this.cpuMsEach;
    return this.cpuMs * 1000;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.sleptMs += ms;
    this.ms += ms;
  }
}

async function within(agent: TestAgent, budget?: Budget): Promise<TestHost> {
  const host = await agent.session(...NAMES);
  if (budget) await host.grantWithin(budget, ...NAMES);
  return host;
}

async function bytesOf(host: TestHost, ...paths: string[]): Promise<number> {
  let bytes = 0;
  const files = paths.map((path) => ({ path }));
  for await (const { payload, kind } of host.content(files)) bytes += kind === 2 ? payload.length : 0;
  return bytes;
}

describe('an agent with a budget', () => {
  it('reads contents, large and small, and digests no faster than it says', async () => {
    const paceClock = new FakeClock();
    await using agent = await TestAgent.start({ paceClock });
    writeFileSync(join(agent.root, 'large'), randomBytes(6 * MiB));
    const names = Array.from({ length: 500 }, (_, index) => `small${index}`);
    for (const name of names) writeFileSync(join(agent.root, name), randomBytes(8 * 1024));
    const host = await within(agent, { readBytesPerSecond: 2 * MiB });
    expect(await bytesOf(host, '/large')).toBe(6 * MiB);
    expect(paceClock.sleptMs).toBeGreaterThanOrEqual(3000 - 150);
    expect(paceClock.sleptMs).toBeLessThanOrEqual(3000);
    expect(await bytesOf(host, ...names.map((name) => `/${name}`))).toBe(500 * 8 * 1024);
    expect(paceClock.sleptMs).toBeGreaterThanOrEqual(3000 + 1953 - 200);
    expect(paceClock.sleptMs).toBeLessThanOrEqual(3000 + 1954);
    expect(await host.digests([{ path: '/large' }])).toMatchObject([{ type: 'digest' }, { type: 'end' }]);
    expect(paceClock.sleptMs).toBeGreaterThanOrEqual(6000 + 1953 - 250);
  });

  it.each([
    ['files', (host: TestHost): Promise<unknown> => host.files()],
    ['processes', (host: TestHost): Promise<unknown> => host.processes()],
  ])('lists %s no faster than its share of a core allows', async (what, list) => {
    const clocks = { paced: new FakeClock(50), free: new FakeClock(50) };
    for (const [kind, paceClock] of Object.entries(clocks)) {
      await using agent = await TestAgent.start({ paceClock, ...(what === 'processes' && { root: '/' }) });
      if (what === 'files')
        for (let index = 0; index < 100; index++) mkdirSync(join(agent.root, `d${index}`));
      await list(await within(agent, kind === 'paced' ? { cpuPercent: 10 } : undefined));
    }
    expect(clocks.free.sleptMs).toBe(0);
    expect(clocks.paced.sleptMs).toBeGreaterThan(0);
  });

  it('carries out commands at once', async () => {
    const never: PaceClock = {
      ...new FakeClock(),
      now: () => 0,
      cpu: () => 0,
      sleep: () => new Promise(() => undefined),
    };
    await using agent = await TestAgent.start({ paceClock: never });
    writeFileSync(join(agent.root, 'large'), randomBytes(2 * MiB));
    writeFileSync(join(agent.root, 'f'), 'x');
    const host = await within(agent, { readBytesPerSecond: MiB });
    const reading = host.content([{ path: '/large' }]);
    // It has begun, and rests for ever.
    await reading.next();
    const target = fileTarget(agent.root, '/f', 'x');
    expect(await host.send({ name: 'delete:file', target })).toEqual({ code: 'done' });
    // A budget that is lifted holds nothing back that comes after.
    await host.grant(...NAMES);
    expect(await bytesOf(host, '/large')).toBe(2 * MiB);
  });

  it('says that it can, and refuses one that is none', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session(...NAMES);
    expect((await host.features())['x-lazaret'].budgets).toEqual(['cpuPercent', 'readBytesPerSecond']);
    for (const budget of [{ cpuPercent: 0 }, { readBytesPerSecond: 1 }]) {
      await expect(host.grantWithin(budget, ...NAMES)).rejects.toMatchObject({
        refusal: { code: 'bad-request' },
      });
    }
  });
});
