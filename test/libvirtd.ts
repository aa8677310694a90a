/**
 * A real libvirtd with real QEMU domains for a test, in a place of its own: its configuration, sockets and guests
 * lie in one folder. It is libvirt's session mode, whose folders can be chosen by environment; libvirtd takes it
 * for whoever is not root, so under root it runs as `nobody`, who must be able to read disks and kernels.
 * Guests are emulated (`type='qemu'`): no test needs KVM.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Need, need } from './need.ts';

const NEEDS: readonly Need[] = [
  { program: 'libvirtd', get: 'apt-get install libvirt-daemon-system' },
  { program: 'virsh', get: 'apt-get install libvirt-clients' },
  { program: 'qemu-system-x86_64', get: 'apt-get install qemu-system-x86' },
  { program: 'qemu-img', get: 'apt-get install qemu-utils' },
];
const START_MS = 30_000;
const AGAIN_MS = 20;
const NOBODY = 65_534;
const IS_ROOT = process.getuid?.() === 0;
/** Nothing of the machine is asked for: no cgroups, no security labels, no virtlogd. */
const QEMU_CONF = `
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
`;

export const hasLibvirtd = (): boolean => need(...NEEDS);

export interface GuestXml {
  readonly name: string;
  readonly uuid?: string;
  /** XML below <devices>, besides a virtio-serial controller. */
  readonly devices?: string;
  /** Without it nothing can be plugged into the running guest. */
  readonly controller?: boolean;
  /** XML below <os>: a kernel and an initramfs. */
  readonly boot?: string;
  /** XML below <domain>. */
  readonly more?: string;
  readonly memoryMib?: number;
}

export class TestLibvirtd implements AsyncDisposable {
  readonly directory: string;
  readonly socket: string;
  /** For a driver, and for `virsh -c`. */
  readonly uri: string;
  private child: ChildProcess | undefined;

  private constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'lv-'));
    this.socket = join(this.directory, 'run/libvirt/libvirt-sock');
    this.uri = `qemu+unix:///session?socket=${this.socket}`;
  }

  static async start(): Promise<TestLibvirtd> {
    const libvirtd = new TestLibvirtd();
    libvirtd.lay();
    await libvirtd.launch();
    return libvirtd;
  }

  get pid(): number {
    if (this.child?.pid === undefined) throw new Error('this libvirtd does not run');
    return this.child.pid;
  }

  /** After `kill`: it finds its guests again. */
  async launch(): Promise<void> {
    rmSync(this.socket, { force: true });
    const at = (name: string) => join(this.directory, name);
    const child = spawn('libvirtd', ['--config', at('libvirtd.conf')], {
      cwd: '/',
      env: {
        PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
        HOME: at('home'),
        XDG_CONFIG_HOME: at('config'),
        XDG_RUNTIME_DIR: at('run'),
        XDG_CACHE_HOME: at('cache'),
      },
      stdio: 'ignore',
      ...(IS_ROOT && { uid: NOBODY, gid: NOBODY }),
    });
    this.child = child;
    for (const end = Date.now() + START_MS; !(await this.takesConnections()); await pause(AGAIN_MS)) {
      if (child.exitCode !== null || Date.now() > end)
        throw new Error(`libvirtd does not start:\n${this.log()}`);
    }
  }

  /** Its guests run on. */
  async kill(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, signal);
  }

  virsh(...args: readonly string[]): string {
    return execFileSync('virsh', ['-q', '-c', this.uri, ...args], { encoding: 'utf8', stdio: 'pipe' });
  }

  /** A guest that is off. */
  define(guest: GuestXml): void {
    this.virsh('define', this.file(`${crypto.randomUUID()}.xml`, this.xml(guest)));
  }

  xml(guest: GuestXml): string {
    return guestXml(guest);
  }

  /** To its QEMU. */
  signalGuest(name: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    const file = join(this.directory, 'run/libvirt/qemu/run', `${name}.pid`);
    process.kill(Number(readFileSync(file, 'utf8')), signal);
  }

  /** A file that guests may use. */
  file(name: string, content: string | Uint8Array): string {
    const path = join(this.directory, 'home', name);
    writeFileSync(path, content);
    this.own(path);
    return path;
  }

  /** XML of a disk that snapshots can be taken of; with the content of a raw image where one is named. */
  disk(name: string, raw?: string): string {
    const path = join(this.directory, 'home', `${name}.qcow2`);
    if (raw === undefined) execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', path, '16M']);
    else execFileSync('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', raw, path]);
    this.own(path);
    return (
      `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>` +
      `<source file='${path}'/><target dev='vda' bus='virtio'/></disk>`
    );
  }

  /** XML of a serial console, whose words are in `said`. */
  console(name: string): string {
    return `<serial type='file'><source path='${this.file(`${name}.console`, '')}'/></serial>`;
  }

  /** What a guest said last on its console. */
  said(name: string): string {
    return readFileSync(join(this.directory, 'home', `${name}.console`), 'latin1').slice(-4_000);
  }

  /** XML that boots a guest from a kernel and its first root file system, copied to where guests may read them. */
  kernel(
    name: string,
    boot: { readonly kernel: string; readonly initramfs: string; readonly append: string },
  ): string {
    const kernel = this.file(`${name}-kernel`, readFileSync(boot.kernel));
    const initramfs = this.file(`${name}-initramfs`, readFileSync(boot.initramfs));
    return `<kernel>${kernel}</kernel><initrd>${initramfs}</initrd><cmdline>${boot.append}</cmdline>`;
  }

  log(): string {
    return readFileSync(join(this.directory, 'libvirtd.log'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child?.signalCode === null) this.signal('SIGCONT');
    await this.kill();
    await this.endGuests();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private lay(): void {
    chmodSync(this.directory, 0o755);
    for (const name of ['home', 'run', 'cache', 'config', 'config/libvirt']) {
      mkdirSync(join(this.directory, name));
      this.own(join(this.directory, name));
    }
    writeFileSync(join(this.directory, 'config/libvirt/qemu.conf'), QEMU_CONF);
    const log = join(this.directory, 'libvirtd.log');
    writeFileSync(log, '');
    this.own(log);
    writeFileSync(join(this.directory, 'libvirtd.conf'), `log_outputs = "3:file:${log}"\n`);
  }

  private own(path: string): void {
    if (IS_ROOT) chownSync(path, NOBODY, NOBODY);
  }

  /** QEMU outlives its libvirtd. */
  private async endGuests(): Promise<void> {
    const run = join(this.directory, 'run/libvirt/qemu/run');
    for (const name of readdirSync(run).filter((one) => one.endsWith('.pid') && one !== 'driver.pid')) {
      const pid = Number(readFileSync(join(run, name), 'utf8'));
      if (!isOurs(pid, this.directory)) continue;
      process.kill(pid, 'SIGKILL');
      while (isOurs(pid, this.directory)) await pause(AGAIN_MS);
    }
  }

  private takesConnections(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.socket, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
  }
}

/** A process id of an old file may be anybody's by now. */
function isOurs(pid: number, directory: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
  } catch {
    return false;
  }
}

function guestXml({ name, uuid, devices, controller, boot, more, memoryMib }: GuestXml): string {
  return `<domain type='qemu'>
  <name>${name}</name>${uuid ? `<uuid>${uuid}</uuid>` : ''}
  <memory unit='MiB'>${memoryMib ?? 32}</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>${boot ?? ''}</os>
  ${more ?? ''}
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${controller === false ? '' : "<controller type='virtio-serial'/>"}
    ${devices ?? ''}
  </devices>
</domain>`;
}
