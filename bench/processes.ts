/** CPU time and memory of processes, as /proc tells them: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;
const PARENT = 1;
const OWN_TIMES = [11, 12];
const TIMES_OF_ENDED_CHILDREN = [13, 14];

/** Fields of /proc/PID/stat after the name, which may itself contain blanks and brackets. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined; // It ended.
  }
}

function seconds(pid: number, places: readonly number[]): number {
  const fields = statFields(pid) ?? [];
  return places.reduce((sum, place) => sum + Number(fields[place] ?? 0), 0) / TICKS_PER_SECOND;
}

/** User and system time of a process and of its ended children, in seconds. */
export const cpuSeconds = (pid: number): number => seconds(pid, [...OWN_TIMES, ...TIMES_OF_ENDED_CHILDREN]);

/** The same of the children of this process that have ended. */
export const cpuSecondsOfEnded = (): number => seconds(process.pid, TIMES_OF_ENDED_CHILDREN);

/** The same of a process and all that descend from it. */
export const cpuSecondsOfTree = (pid: number): number =>
  [pid, ...descendantsOf(pid)].reduce((sum, each) => sum + cpuSeconds(each), 0);

export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const child = Number(name);
    const parent = Number.isInteger(child) ? Number(statFields(child)?.[PARENT]) : Number.NaN;
    if (!Number.isNaN(parent)) children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const below = (parent: number): number[] =>
    (children.get(parent) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid);
}

/** Resident memory in MB. */
export const residentMegabytes = (pid: number): number => memoryMegabytes(pid, 'VmRSS');

/** The most that was ever resident, or since `forgetPeak`. */
export const peakMegabytes = (pid: number): number => memoryMegabytes(pid, 'VmHWM');

export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

function memoryMegabytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0; // It ended.
  }
}
