import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TempDirectory } from '../testing/tree.ts';
import { parseStat, readExecutable, readStat } from './process.ts';

describe('/proc/PID/stat', () => {
  it('is read whatever the name holds', () => {
    const fields = Array.from({ length: 50 }, (_, index) => String(index + 4));
    const stat = parseStat(Buffer.from(`42 (a) R (b\n) S ${fields.join(' ')}\n`));
    expect(stat.name.toString()).toBe('a) R (b\n');
    expect(stat).toMatchObject({ state: 'S', parent: 4, start: '22', isKernelThread: false });
  });

  it('tells a kernel thread by its flags', () => {
    const fields = ['0', '0', '0', '0', '-1', String(0x0020_0040), ...Array(40).fill('0')];
    expect(parseStat(Buffer.from(`2 (kthreadd) S ${fields.join(' ')}`)).isKernelThread).toBe(true);
  });

  it('of this process names its parent', () => {
    expect(readStat(process.pid).parent).toBe(process.ppid);
  });
});

describe('executable', () => {
  it('is known, and marked when its name is gone', async () => {
    using directory = new TempDirectory();
    const path = join(directory.path, 'sleeper (deleted)');
    copyFileSync('/bin/sleep', path);
    const { ino } = statSync(path, { bigint: true });
    const child = spawn(path, ['60']);
    await once(child, 'spawn');
    const pid = child.pid ?? 0;
    const before = readExecutable(pid);
    expect(before?.path.toString()).toBe(path);
    expect(before).toMatchObject({ deleted: false, ino: String(ino), inMemory: false });
    rmSync(path);
    const after = readExecutable(pid);
    child.kill('SIGKILL');
    expect(after?.path.toString()).toBe(path);
    expect(after).toMatchObject({ deleted: true, ino: String(ino), inMemory: false });
  });
});
