/**
 * Boots a Debian guest under QEMU, with the agent's port, and lets a test unplug and plug that port. Only the kernel
 * is given from outside: from the switch to the disk on, the guest starts as any Debian does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type Accelerator, probeAccelerator } from '../../../demo/guest/accelerator.ts';
import { Qmp } from '../../../demo/guest/qmp.ts';
import { GuestConsole } from './console.ts';
import type { DebianImage } from './image.ts';
import type { DebianParts } from './parts.ts';

export interface BootRequest {
  readonly parts: DebianParts;
  readonly image: DebianImage;
  /** For its socket; removed with the guest. The path is short, as that of a socket has to be. */
  readonly directory: string;
  /** SMBIOS OEM strings, such as `io.systemd.credential:NAME=VALUE`. */
  readonly oemStrings?: readonly string[];
  /** MiB. Default: 512. */
  readonly memory?: number;
  readonly uuid?: string;
}

const PORT = 'org.lazaret.agent.0';

export class DebianGuest implements AsyncDisposable {
  readonly accelerator: Accelerator;
  readonly uuid: string;
  /** The host's end of the agent's port. */
  readonly socket: string;
  readonly console: GuestConsole;
  private readonly directory: string;
  private readonly child: ChildProcess;
  private readonly qmp: Qmp;
  private readonly gone: Promise<unknown>;
  private portIsOpen = false;
  private readonly onExit = (): void => this.endNow();

  private constructor(request: BootRequest, accelerator: Accelerator) {
    const { parts, directory, uuid = randomUUID() } = request;
    this.accelerator = accelerator;
    this.uuid = uuid;
    this.directory = directory;
    this.socket = join(directory, 'agent.sock');
    // Should this process be killed outright, QEMU goes with it.
    const command = ['--pdeathsig', 'KILL', parts.qemu, ...commandLine(request, this)];
    const child = spawn(parts.setpriv, command, { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] });
    this.child = child;
    this.gone = once(child, 'exit');
    this.console = new GuestConsole(child.stdio[3] as Readable);
    this.qmp = new Qmp(child.stdout as Readable, child.stdin as Writable, PORT);
    this.qmp.on('port', (open) => {
      this.portIsOpen = open;
    });
    process.once('exit', this.onExit);
  }

  /** Power on. The guest is up when its agent has opened the port: `portOpen`. */
  static async boot(request: BootRequest): Promise<DebianGuest> {
    mkdirSync(request.directory, { recursive: true });
    return new DebianGuest(request, await probeAccelerator(request.parts, request.directory));
  }

  /** Resolves when a program in the guest has the port open; rejects when the guest ends before. */
  async portOpen(): Promise<void> {
    const ended = this.gone.then(() => true);
    while (!this.portIsOpen) {
      const isOver = await Promise.race([once(this.qmp, 'port').then(() => false), ended]);
      if (isOver) throw new Error(`the guest ended:\n${this.console.last(30)}`);
    }
  }

  unplugPort(): void {
    this.portIsOpen = false;
    this.tell('device_del', { id: PORT });
  }

  plugPort(): void {
    this.tell('device_add', { driver: 'virtserialport', chardev: 'agent', name: PORT, id: PORT });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.endNow();
    await this.gone;
    process.off('exit', this.onExit);
  }

  private tell(execute: string, given: Readonly<Record<string, string>>): void {
    this.child.stdin?.write(`${JSON.stringify({ execute, arguments: given })}\n`);
  }

  private endNow(): void {
    this.child.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The console goes to descriptor 3, a socket; a value of -smbios has its commas doubled. */
function commandLine(request: BootRequest, guest: DebianGuest): string[] {
  const { image, oemStrings = [], memory = 512 } = request;
  const strings = oemStrings.map((one) => `value=${one.replaceAll(',', ',,')}`);
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-m', String(memory), '-uuid', guest.uuid],
    ...['-accel', guest.accelerator, '-cpu', 'max', '-smp', '2', '-qmp', 'stdio'],
    ...['-kernel', image.kernel, '-initrd', image.initramfs, '-append', image.append],
    ...['-chardev', 'socket,id=log,fd=3', '-serial', 'chardev:log'],
    ...['-drive', `if=none,id=root,format=raw,cache=unsafe,file=${image.disk}`],
    ...['-device', 'virtio-blk-pci,drive=root', '-device', 'virtio-serial-pci'],
    ...['-device', 'virtio-rng-pci'],
    ...(strings.length > 0 ? ['-smbios', `type=11,${strings.join(',')}`] : []),
    ...['-chardev', `socket,id=agent,server=on,wait=off,path=${guest.socket}`],
    ...['-device', `virtserialport,chardev=agent,name=${PORT},id=${PORT}`],
  ];
}
