/** The CPU time of another process (clock_getcpuclockid(3)), without a look into /proc. */
import { libc } from './ffi.ts';
import { nativeBuffer } from './memory.ts';

const clockGettime = libc.bind('clock_gettime', ['i32', 'buffer']);
/** The clock of a whole process, as the kernel numbers it (include/linux/posix-timers.h). */
const CPUCLOCK_SCHED = 2;
const time = nativeBuffer(16);

/** User and system time in microseconds; undefined when it has ended. */
export function cpuTimeOf(pid: number): number | undefined {
  if (clockGettime((~pid << 3) | CPUCLOCK_SCHED, time) < 0) return undefined;
  return Number(time.readBigInt64LE(0)) * 1e6 + Number(time.readBigInt64LE(8)) / 1e3;
}
