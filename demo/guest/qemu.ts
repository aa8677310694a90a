/** A real guest: a kernel, a disk and the agent's virtio port under QEMU, watched over QMP. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type Accelerator, probeAccelerator } from './accelerator.ts';
import { buildDisk } from './disk.ts';
import type { DemoGuest } from './guest.ts';
import { buildInitramfs } from './initramfs.ts';
import type { GuestParts } from './parts.ts';
import { Qmp } from './qmp.ts';
import { Witness, type WitnessAnswer } from './witness.ts';

export interface GuestRequest {
  readonly parts: GuestParts;
  /** The guest's files; a folder that `installSystem` made bootable. */
  readonly tree: string;
  /** For image, sockets and log; removed with the guest. */
  readonly directory: string;
  readonly signal?: AbortSignal;
  /** A last word on the disk image before the guest boots from it. */
  readonly prepareImage?: (image: string) => Promise<void>;
  /** More of QEMU's arguments, for what the guest's firmware is to say. */
  readonly firmware?: readonly string[];
  /** Kernel modules besides those that lead to the disk and the port. */
  readonly modules?: readonly string[];
}

/** From power-on to an agent that has opened its port; emulated on a busy machine it takes half a minute. */
const BOOT_DEADLINE_MS = 180_000;
const PORT = 'org.lazaret.agent.0';

/** Builds the guest's disk, boots it and waits until its agent has opened the port. */
export async function bootGuest(request: GuestRequest): Promise<QemuGuest> {
  const { parts, directory } = request;
  const image = join(directory, 'root.img');
  const probing = probeAccelerator(parts, directory);
  await buildDisk(parts, request.tree, image).finally(() => probing);
  await request.prepareImage?.(image);
  writeFileSync(join(directory, 'initramfs'), buildInitramfs(parts, request.modules));
  request.signal?.throwIfAborted();
  return QemuGuest.start(request, await probing);
}

export class QemuGuest implements DemoGuest {
  readonly kind: string;
  readonly accelerator: Accelerator;
  readonly socket: string;
  readonly image: string;
  readonly parts: GuestParts;
  readonly uuid: string = randomUUID();
  private readonly directory: string;
  private readonly child: ChildProcess;
  private readonly qmp: Qmp;
  private readonly gone: Promise<unknown>;
  /** What QEMU itself had to say. */
  private readonly complaints: string[] = [];
  private witness: Witness | undefined;
  private readonly onExit = () => this.endNow();

  private constructor(request: GuestRequest, accelerator: Accelerator) {
    this.accelerator = accelerator;
    this.kind =
      accelerator === 'kvm'
        ? 'a QEMU guest on KVM, over virtio-serial'
        : 'a QEMU guest, emulated (TCG, as KVM does not run here), over virtio-serial';
    this.parts = request.parts;
    this.directory = request.directory;
    this.socket = join(this.directory, 'agent.sock');
    this.image = join(this.directory, 'root.img');
    const { setpriv, qemu, kernel } = request.parts;
    const line = [...this.commandLine(kernel), ...(request.firmware ?? [])];
    // Should this process be killed outright, QEMU goes with it.
    const child = spawn(setpriv, ['--pdeathsig', 'KILL', qemu, ...line], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child = child;
    this.gone = once(child, 'exit').catch((error: Error) => this.complaints.push(error.message));
    child.stderr?.on('data', (text) => this.complaints.push(String(text)));
    this.qmp = new Qmp(child.stdout as Readable, child.stdin as Writable, PORT);
    process.once('exit', this.onExit);
    request.signal?.addEventListener('abort', this.onExit, { once: true });
  }

  static async start(request: GuestRequest, accelerator: Accelerator): Promise<QemuGuest> {
    const guest = new QemuGuest(request, accelerator);
    try {
      await guest.within(BOOT_DEADLINE_MS, guest.boot());
      return guest;
    } catch (cause) {
      const log = guest.log();
      await guest.close();
      request.signal?.throwIfAborted();
      throw new Error(`the guest did not come up; its last words were:\n${log}`, { cause });
    }
  }

  async read(path: string): Promise<Buffer | undefined> {
    const { status, output } = await this.ask('cat', path);
    return status === 0 ? output : undefined;
  }

  async executables(): Promise<string[]> {
    return (await this.ask('executables')).output.toString().split('\n').filter(Boolean);
  }

  /** Asks the witness in the guest: cat PATH, stat PATH, executables, sync. */
  ask(command: string, path?: string): Promise<WitnessAnswer> {
    if (!this.witness) throw new Error('the guest is not up');
    return this.witness.ask(command, path);
  }

  /** Restarts the guest; resolves when its agent has opened the port again. */
  async reboot(): Promise<void> {
    const up = this.up();
    this.witness?.tell('reboot');
    await this.within(BOOT_DEADLINE_MS, up);
  }

  async close(): Promise<void> {
    this.endNow();
    await this.gone;
    process.off('exit', this.onExit);
  }

  private async boot(): Promise<void> {
    await once(this.qmp, 'greeting');
    this.witness = await Witness.connect(join(this.directory, 'witness.sock'));
    await this.up();
  }

  private async up(): Promise<void> {
    const opened = new Promise<void>((resolve) => {
      const watch = (open: boolean): void => {
        if (!open) return;
        this.qmp.off('port', watch);
        resolve();
      };
      this.qmp.on('port', watch);
    });
    await Promise.all([this.witness?.ready(), opened]);
  }

  /** The end of the guest or of the deadline is an error for whoever waits. */
  private async within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
    const timer = AbortSignal.timeout(milliseconds);
    const late = once(timer, 'abort').then(() => {
      throw new Error(`the guest did not do it within ${milliseconds / 1000} s`);
    });
    const ended = this.gone.then(() => {
      throw new Error('QEMU ended');
    });
    return Promise.race([work, late, ended]);
  }

  private endNow(): void {
    this.witness?.close();
    this.child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }

  private log(): string {
    const path = join(this.directory, 'kernel.log');
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(-15) : [];
    return [...this.complaints, ...lines].join('\n');
  }

  private commandLine(kernel: string): string[] {
    const at = (name: string): string => join(this.directory, name);
    return [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-m', '512', '-uuid', this.uuid],
      ...['-accel', this.accelerator, '-cpu', 'max', '-qmp', 'stdio'],
      ...['-kernel', kernel, '-initrd', at('initramfs'), '-append', 'console=ttyS0 panic=-1'],
      ...['-chardev', `file,id=log,path=${at('kernel.log')}`, '-serial', 'chardev:log'],
      ...['-chardev', `socket,id=witness,server=on,wait=off,path=${at('witness.sock')}`],
      ...['-serial', 'chardev:witness'],
      ...['-drive', `if=none,id=root,format=raw,cache=unsafe,file=${this.image}`],
      ...['-device', 'virtio-blk-pci,drive=root', '-device', 'virtio-serial-pci'],
      ...['-chardev', `socket,id=agent,server=on,wait=off,path=${this.socket}`],
      ...['-device', `virtserialport,chardev=agent,name=${PORT},id=${PORT}`],
    ];
  }
}
