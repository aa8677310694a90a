/**
 * Whether KVM really runs here. That /dev/kvm opens says little: inside some virtual machines a guest then
 * hangs or crawls. So a boot sector is run which goes through the port I/O that each serial byte costs and
 * then leaves through QEMU's isa-debug-exit device, whose exit status is (value << 1) | 1. A working KVM
 * takes a tenth of a second.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestParts } from './parts.ts';

export type Accelerator = 'kvm' | 'tcg';

const DEADLINE_MS = 2_000;
const EXIT_VALUE = 0x10;

const CODE = [
  ...[0xb9, 0x20, 0x4e], //       mov cx, 20000
  ...[0xe6, 0x80], //       more: out 0x80, al
  ...[0xe2, 0xfc], //             loop more
  ...[0xba, 0xf4, 0x00], //       mov dx, 0xf4
  ...[0xb0, EXIT_VALUE], //       mov al, EXIT_VALUE
  0xee, //                        out dx, al
  ...[0xeb, 0xfe], //             jmp $
];

/** `closed`: the device cannot be opened. `hangs`: it opens, and a guest then does not come to its end in time. `fails`: QEMU says no. */
export type KvmState = 'runs' | 'closed' | 'hangs' | 'fails';

export type ProbeParts = Pick<GuestParts, 'qemu' | 'setpriv'>;

export async function probeAccelerator(parts: ProbeParts, directory: string): Promise<Accelerator> {
  return (await probeKvm(parts, directory)) === 'runs' ? 'kvm' : 'tcg';
}

/** Leaves a file in `directory`, which is the caller's. Rejects when a program cannot be started. */
export async function probeKvm(parts: ProbeParts, directory: string, device = '/dev/kvm'): Promise<KvmState> {
  if (!canOpen(device)) return 'closed';
  const sector = Buffer.alloc(512);
  sector.set(CODE);
  sector.writeUInt16BE(0x55aa, 510);
  const image = join(directory, 'probe.img');
  writeFileSync(image, sector);
  return boot(parts, image);
}

function canOpen(device: string): boolean {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function boot({ setpriv, qemu }: ProbeParts, image: string): Promise<KvmState> {
  const child = spawn(
    setpriv,
    [
      ...['--pdeathsig', 'KILL', qemu],
      ...['-accel', 'kvm', '-m', '16', '-nodefaults', '-no-user-config', '-display', 'none'],
      ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4'],
      ...['-drive', `format=raw,if=floppy,file=${image}`],
    ],
    { stdio: 'ignore', timeout: DEADLINE_MS, killSignal: 'SIGKILL' },
  );
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status) => resolve(stateOf(status)));
  });
}

function stateOf(status: number | null): KvmState {
  if (status === ((EXIT_VALUE << 1) | 1)) return 'runs';
  return status === null ? 'hangs' : 'fails';
}
