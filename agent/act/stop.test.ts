import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProcessTarget } from '../../protocol/index.ts';
import { readStat } from '../linux/process.ts';
import { TestAgent } from '../testing/tree.ts';

function targetOf(pid: number, program: string): ProcessTarget {
  const { dev, ino } = statSync(program, { bigint: true });
  return { pid, start: readStat(pid).start, executable: { dev: String(dev), ino: String(ino) } };
}

async function start(program: string): Promise<ChildProcess & { pid: number }> {
  copyFileSync('/bin/sleep', program);
  const child = spawn(program, ['600']);
  await once(child, 'spawn');
  return child as ChildProcess & { pid: number };
}

describe('stop:process', () => {
  it('kills the process that is meant', async () => {
    await using agent = await TestAgent.start();
    const program = join(agent.root, 'program');
    const child = await start(program);
    const ended = once(child, 'exit');
    const host = await agent.session('stop:process');
    expect(await host.send({ name: 'stop:process', target: targetOf(child.pid, program) })).toEqual({
      code: 'done',
    });
    expect(await ended).toEqual([null, 'SIGKILL']);
  });

  it('spares a process that has the number only', async () => {
    await using agent = await TestAgent.start();
    const program = join(agent.root, 'program');
    const child = await start(program);
    const host = await agent.session('stop:process');
    const target = targetOf(child.pid, program);
    const later = { ...target, start: String(BigInt(target.start) - 1n) };
    expect(await host.send({ name: 'stop:process', target: later })).toMatchObject({ code: 'changed' });
    const other = { ...target, executable: { ...target.executable, ino: '1' } };
    expect(await host.send({ name: 'stop:process', target: other })).toMatchObject({ code: 'changed' });
    expect(child.exitCode ?? child.signalCode).toBeNull();
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    expect(await host.send({ name: 'stop:process', target })).toMatchObject({ code: 'vanished' });
  });

  it('spares init, the agent, its parents, and what is not of this guest', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('stop:process');
    const executable = { dev: '1', ino: '1' };
    for (const pid of [1, process.pid, process.ppid]) {
      const target = { pid, start: readStat(pid).start, executable };
      expect(await host.send({ name: 'stop:process', target })).toMatchObject({ code: 'protected' });
    }
    const outside = spawn('/bin/sleep', ['600']);
    await once(outside, 'spawn');
    const target = targetOf(outside.pid ?? 0, '/bin/sleep');
    expect(await host.send({ name: 'stop:process', target })).toMatchObject({ code: 'protected' });
    outside.kill('SIGKILL');
  });
});
