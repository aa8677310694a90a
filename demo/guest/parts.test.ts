import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findGuestParts } from './parts.ts';

let directory: string;

/** A machine with these programs and kernels, and nothing else. */
function machine(programs: readonly string[], kernels: readonly string[]): void {
  mkdirSync(join(directory, 'bin'));
  for (const program of programs) writeFileSync(join(directory, 'bin', program), '', { mode: 0o755 });
  for (const release of kernels) {
    mkdirSync(join(directory, 'lib', 'modules', release), { recursive: true });
    mkdirSync(join(directory, 'boot'), { recursive: true });
    writeFileSync(join(directory, 'boot', `vmlinuz-${release}`), '');
  }
  vi.stubEnv('PATH', join(directory, 'bin'));
  vi.stubEnv('LAZARET_KERNEL_DIR', directory);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-parts-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

describe('findGuestParts', () => {
  it('finds programs in PATH and the newest kernel of the named folder', () => {
    machine(
      ['qemu-system-x86_64', 'busybox', 'mke2fs', 'debugfs', 'setpriv'],
      ['6.1.0-9-cloud', '6.1.0-56-cloud'],
    );
    expect(findGuestParts().parts).toMatchObject({
      qemu: join(directory, 'bin', 'qemu-system-x86_64'),
      kernel: join(directory, 'boot', 'vmlinuz-6.1.0-56-cloud'),
      modules: join(directory, 'lib', 'modules', '6.1.0-56-cloud'),
    });
  });

  it('says what is missing and how to get it', () => {
    machine(['busybox', 'mke2fs', 'debugfs', 'setpriv'], ['6.1.0-9-cloud']);
    expect(findGuestParts().missing).toEqual([
      { what: 'qemu-system-x86_64', get: 'apt-get install qemu-system-x86' },
    ]);
  });

  it('does not take modules without their kernel', () => {
    machine(['qemu-system-x86_64', 'busybox', 'mke2fs', 'debugfs', 'setpriv'], []);
    vi.stubEnv('XDG_CACHE_HOME', directory);
    mkdirSync(join(directory, 'lib', 'modules', '6.1.0-9-cloud'), { recursive: true });
    const { parts, missing } = findGuestParts();
    // A machine with a kernel of its own in /boot has one all the same.
    if (parts) expect(parts.kernel).toMatch(/^\/boot\//);
    else expect(missing?.map((part) => part.what)).toEqual(['a readable kernel with its modules']);
  });
});
