/** The list of processes, by the agent over a socket. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LIMITS, lengthOf, type ProcessLine } from '../../protocol/index.ts';
import { need } from '../../test/need.ts';
import { MOUNT_NAMESPACES, RunningProgram, writeProgram } from '../testing/namespace.ts';
import { TestAgent } from '../testing/tree.ts';

type Process = Extract<ProcessLine, { type: 'process' }>;

async function listedBy(agent: TestAgent): Promise<Process[]> {
  const lines = await (await agent.session('query:processes')).processes();
  expect(lines.at(-1)).toEqual({ type: 'end', processes: lines.length - 1 });
  return lines.filter((line) => line.type === 'process');
}

/** A program of the guest that sleeps, with arguments that all are numbers. */
async function sleeping(agent: TestAgent, ...numbers: string[]): Promise<number> {
  const program = join(agent.root, 'sleeper');
  copyFileSync('/usr/bin/sleep', program);
  const child = spawn(program, ['3600', ...numbers], { argv0: 'sleep', stdio: 'ignore' });
  onTestFinished(async () => {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  });
  await once(child, 'spawn');
  return child.pid ?? 0;
}

describe('the arguments of a process', () => {
  const most = LIMITS.commandLineBytes;

  it.each<[string, string[], Partial<Process>]>([
    ['few', ['1', '2'], { commandLine: ['sleep', '3600', '1', '2'] }],
    ['one that just fits', ['0'.repeat(most - 'sleep 3600 '.length)], {}],
    ['one that is too long by a byte', ['0'.repeat(most - 'sleep 3600 '.length + 1)], { cut: true }],
    ['one that is too long', ['0'.repeat(most)], { cut: true }],
    ['many, too long together', Array<string>(1000).fill('0'.repeat(50)), { cut: true }],
    ['too many', Array<string>(2000).fill('0'), { cut: true }],
  ])('%s', async (_, numbers, expected) => {
    await using agent = await TestAgent.start();
    const pid = await sleeping(agent, ...numbers);
    const [process] = await listedBy(agent);
    expect(process).toMatchObject({ pid, ...expected });
    expect(process?.cut ?? false).toBe(expected.cut ?? false);
    const words = process?.commandLine ?? [];
    expect(words.length).toBeLessThanOrEqual(LIMITS.commandLineArguments);
    expect(words.reduce((sum, word) => sum + lengthOf(word), 0)).toBeLessThanOrEqual(most);
  });
});

describe('the executable of a process', () => {
  it('stands where it says, also when it is deleted', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'implant');
    writeProgram(path, '');
    await using program = await RunningProgram.run(path);
    const { pid } = program;
    const at = { path: '/implant', inMemory: false, placed: true };
    expect(await listedBy(agent)).toMatchObject([
      { pid, namespace: 'own', executable: { ...at, deleted: false } },
    ]);
    rmSync(path);
    expect(await listedBy(agent)).toMatchObject([{ pid, executable: { ...at, deleted: true } }]);
  });

  it.runIf(need(MOUNT_NAMESPACES))('does not where another namespace has it there', async () => {
    await using agent = await TestAgent.start();
    const [evil, shell] = [join(agent.root, 'evil'), join(agent.root, 'bin', 'bash')];
    mkdirSync(join(agent.root, 'bin'));
    writeProgram(evil, 'evil');
    writeProgram(shell, '');
    await using program = await RunningProgram.runIn('mount --bind "$1" "$0"', shell, evil);
    const { pid } = program;
    expect(await listedBy(agent)).toMatchObject([
      { pid, namespace: 'foreign', executable: { path: '/bin/bash', placed: false } },
    ]);
  });
});

it('tells threads of the kernel by their flags, not by their parent', async () => {
  await using agent = await TestAgent.start({ root: '/' });
  const processes = await listedBy(agent);
  for (const { kernelThread, executable } of processes) if (kernelThread) expect(executable).toBeUndefined();
  const own = processes.find(({ pid }) => pid === process.pid);
  expect(own).toMatchObject({ namespace: 'own', executable: { placed: true } });
  expect(own?.kernelThread).toBeUndefined();
  const kthreadd = processes.find(({ pid, name }) => pid === 2 && name === 'kthreadd');
  if (kthreadd) expect(kthreadd.kernelThread).toBe(true);
});
