/**
 * Makes a folder of files a system that boots: busybox and what starts it, the agent as one file, and the
 * C library that the agent and copied programs need, taken from this machine.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../package-root.ts';
import type { GuestParts } from './parts.ts';

const SYSTEM_FOLDERS = ['bin', 'sbin', 'dev', 'proc', 'sys', 'run', 'root', 'tmp', 'var/tmp', 'usr/sbin'];

/** Applets of busybox that the guest's own scripts call. */
const APPLETS =
  'sh cat chown cp echo grep hostname ln ls mkdir mount ps readlink rm stat stty sync umount usleep base64';

export function installSystem(root: string, parts: GuestParts, agent: string): void {
  for (const folder of SYSTEM_FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  place(parts.busybox, join(root, 'bin', 'busybox'), 0o755);
  for (const applet of APPLETS.split(' ')) link('busybox', join(root, 'bin', applet));
  for (const applet of ['init', 'reboot', 'poweroff']) link('../bin/busybox', join(root, 'sbin', applet));
  installScripts(root);
  place(agent, join(root, 'usr', 'sbin', 'lazaret-agent'), 0o755);
  for (const library of librariesOf(agent)) place(library, join(root, library), 0o755);
}

function installScripts(root: string): void {
  const from = join(packageRoot, 'demo', 'guest', 'rootfs');
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    place(file, join(root, file.slice(from.length)), 0o755);
  }
}

/** The shared objects that the loader would map for a program, itself among them. */
function librariesOf(program: string): string[] {
  const listing = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...listing.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
}

function place(from: string, to: string, mode: number): void {
  mkdirSync(dirname(to), { recursive: true });
  rmSync(to, { force: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

function link(target: string, path: string): void {
  rmSync(path, { force: true });
  symlinkSync(target, path);
}
