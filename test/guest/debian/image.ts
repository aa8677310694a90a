/**
 * A Debian guest as files that any QEMU boots: kernel, first root file system and disk image. The agent is
 * installed in it as an administrator would, by dpkg.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { characterDevice, executable, directory as folder, writeCpio } from '../../../demo/guest/cpio.ts';
import { buildDisk } from '../../../demo/guest/disk.ts';
import { collectModules } from '../../../demo/guest/modules.ts';
import type { DebianParts } from './parts.ts';

const run = promisify(execFile);

/** Disk, port, file system; the tables of SMBIOS and fw_cfg below /sys/firmware, where enrolment tokens come in. */
const MODULES = ['virtio_pci', 'virtio_blk', 'virtio_console', 'ext4', 'dmi_sysfs', 'qemu_fw_cfg'];

export interface DebianImage {
  readonly kernel: string;
  readonly initramfs: string;
  /** A raw disk image, without partitions, as the first virtio disk. */
  readonly disk: string;
  /** The kernel's command line. */
  readonly append: string;
}

export interface ImageRequest {
  readonly parts: DebianParts;
  /** Where the files are put; the caller removes it. */
  readonly directory: string;
  /** Packages to install, in this order. Default: the agent's. */
  readonly packages?: readonly string[];
  /** Changes the guest's files before they become a disk: plants malware, places configuration. */
  readonly prepare?: (root: string) => Promise<void> | void;
}

export async function buildDebianImage(request: ImageRequest): Promise<DebianImage> {
  const { parts, directory, packages = [parts.agentPackage] } = request;
  const root = join(directory, 'tree');
  const image = { initramfs: join(directory, 'initramfs'), disk: join(directory, 'disk.img') };
  mkdirSync(directory, { recursive: true });
  await run('cp', ['--archive', '--reflink=auto', parts.debian, root]);
  try {
    for (const file of packages) await install(root, file);
    placeSettings(root);
    await request.prepare?.(root);
    await buildDisk(parts, root, image.disk);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  writeFileSync(image.initramfs, buildInitramfs(parts));
  const append =
    'console=ttyS0 panic=-1 rw quiet systemd.show_status=yes systemd.unit=multi-user.target ' +
    'systemd.mask=getty.target systemd.mask=systemd-networkd.service';
  return { kernel: parts.kernel, ...image, append };
}

async function install(root: string, file: string): Promise<void> {
  const inside = '/var/cache/package.deb';
  await run('cp', [file, join(root, inside)]);
  const options = ['--install', '--force-unsafe-io', '--force-confold'];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  await run('chroot', [root, 'dpkg', ...options, inside], { env });
  rmSync(join(root, inside));
}

/** What is logged is seen on the console. */
function placeSettings(root: string): void {
  const place = join(root, 'etc', 'systemd', 'journald.conf.d');
  mkdirSync(place, { recursive: true });
  writeFileSync(
    join(place, 'console.conf'),
    '[Journal]\nStorage=volatile\nForwardToConsole=yes\nMaxLevelConsole=info\n',
  );
  writeFileSync(join(root, 'etc', 'hostname'), 'debian-guest\n');
}

function buildInitramfs(parts: DebianParts): Buffer {
  const modules = collectModules(parts.modules, MODULES);
  return writeCpio([
    ...['bin', 'dev', 'proc', 'root', 'modules'].map(folder),
    characterDevice('dev/console', 5, 1),
    executable('bin/busybox', readFileSync(parts.busybox)),
    executable('init', readFileSync(join(import.meta.dirname, 'initramfs-init'))),
    executable('modules/order', Buffer.from(modules.map(({ name }) => `${name}\n`).join(''))),
    ...modules.map(({ name, content }) => executable(`modules/${name}`, content)),
  ]);
}
