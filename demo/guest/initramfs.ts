import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.ts';
import { characterDevice, directory, executable, writeCpio } from './cpio.ts';
import { collectModules } from './modules.ts';
import type { GuestParts } from './parts.ts';

/** What leads to the disk and to the agent's port. */
const WANTED = ['virtio_pci', 'virtio_blk', 'virtio_console', 'ext4'];

/** The first root file system: loads the modules, `more` besides, and hands over to the one on the disk. */
export function buildInitramfs(parts: GuestParts, more: readonly string[] = []): Buffer {
  const modules = collectModules(parts.modules, [...WANTED, ...more]);
  const order = modules.map((module) => `${module.name}\n`).join('');
  return writeCpio([
    ...['bin', 'dev', 'proc', 'root', 'modules'].map(directory),
    characterDevice('dev/console', 5, 1),
    executable('bin/busybox', readFileSync(parts.busybox)),
    executable('init', readFileSync(join(packageRoot, 'demo', 'guest', 'initramfs-init'))),
    executable('modules/order', Buffer.from(order)),
    ...modules.map((module) => executable(`modules/${module.name}`, module.content)),
  ]);
}
