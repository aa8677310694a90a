/**
 * stop:process: SIGKILL through a pidfd, which stands for one process whatever becomes of its number. Start
 * time and executable are compared after the pidfd was opened, so that what was compared is what is killed.
 */
import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessTarget } from '../../protocol/index.ts';
import { OutcomeError } from '../error.ts';
import { hasEnded, pidfdOpen, pidfdSendSignal } from '../linux/calls.ts';
import { errnoOf } from '../linux/error.ts';
import { readExecutable, readStat } from '../linux/process.ts';
import type { Effect, Work } from './work.ts';

const SIGKILL = 9;
const INIT = 1;
/** A killed process is gone at once, unless it waits for a device. */
const GONE_WITHIN_MS = 10_000;
const FIRST_LOOK_MS = 1;
const LAST_LOOK_MS = 100;

export async function stopProcess(target: ProcessTarget, work: Work): Promise<Effect> {
  if (isOurs(target.pid)) throw new OutcomeError('protected', 'init, the agent and what started it stay');
  const pidfd = pidfdOpen(target.pid);
  try {
    check(target, work);
    pidfdSendSignal(pidfd, SIGKILL);
    await untilGone(pidfd);
  } finally {
    closeSync(pidfd);
  }
  return { outcome: { code: 'done' } };
}

function check({ pid, start, executable: expected }: ProcessTarget, { root }: Work): void {
  const stat = readStat(pid);
  if (stat.isKernelThread) throw new OutcomeError('protected', 'it is a kernel thread');
  if (stat.start !== start) throw new OutcomeError('changed', `the process that is now ${pid} started later`);
  const executable = readExecutable(pid);
  if (executable?.dev !== expected.dev || executable.ino !== expected.ino) {
    throw new OutcomeError('changed', 'it runs another executable');
  }
  if (!root.inside(executable.path)) throw new OutcomeError('protected', 'it is no process of this guest');
}

async function untilGone(pidfd: number): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS;
  for (let wait = FIRST_LOOK_MS; !hasEnded(pidfd); wait = Math.min(wait * 2, LAST_LOOK_MS)) {
    if (performance.now() > deadline) {
      throw new OutcomeError('failed', `it was killed and is still there after ${GONE_WITHIN_MS} ms`);
    }
    await delay(wait);
  }
}

/** Init, this process, or one that it descends from. */
function isOurs(pid: number): boolean {
  if (pid === INIT) return true;
  for (let at = process.pid; at > INIT; at = parentOf(at)) {
    if (at === pid) return true;
  }
  return false;
}

function parentOf(pid: number): number {
  try {
    return readStat(pid).parent;
  } catch (error) {
    // It ended meanwhile, and we are init's child now.
    if (errnoOf(error) === undefined) throw error;
    return INIT;
  }
}
