/** A guest that is more than a machine: a kernel, and a program that opens the port and sends back what comes. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { directory, executable, writeCpio } from '../../../demo/guest/cpio.ts';
import { collectModules } from '../../../demo/guest/modules.ts';
import { findGuestParts, type GuestParts } from '../../../demo/guest/parts.ts';
import { DomainChanges, KeptLog } from '../../../test/domain-changes.ts';
import { hasLibvirtd, TestLibvirtd } from '../../../test/libvirtd.ts';
import { need } from '../../../test/need.ts';
import { LibvirtDriver } from './driver.ts';

const { parts, missing = [] } = findGuestParts();
const ready =
  need(...missing.map(({ what, get }) => ({ what, get, there: false }))) &&
  hasLibvirtd() &&
  parts !== undefined;
const BOOT_MS = 120_000;

/** A line "reboot" or "poweroff" is obeyed, any other comes back. */
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module"; done < /modules/order
until /bin/busybox test -c /dev/vport0p1; do /bin/busybox usleep 20000; done
exec 3<>/dev/vport0p1
while true; do
  read -r line <&3 || { /bin/busybox usleep 20000; continue; }
  case "$line" in
    reboot|poweroff) /bin/busybox "$line" -f ;;
    *) echo "$line" >&3 ;;
  esac
done
`;

function initramfs({ modules: from, busybox }: GuestParts): Buffer {
  const modules = collectModules(from, ['virtio_pci', 'virtio_console']);
  return writeCpio([
    ...['bin', 'dev', 'modules'].map(directory),
    executable('bin/busybox', readFileSync(busybox)),
    executable('init', Buffer.from(INIT)),
    executable('modules/order', Buffer.from(modules.map(({ name }) => `${name}\n`).join(''))),
    ...modules.map(({ name, content }) => executable(`modules/${name}`, content)),
  ]);
}

describe.runIf(ready)('a guest that boots', () => {
  let libvirtd: TestLibvirtd;
  let driver: LibvirtDriver;

  beforeAll(async () => {
    libvirtd = await TestLibvirtd.start();
    driver = new LibvirtDriver({ uri: libvirtd.uri, logger: new KeptLog(), pollMs: 100 });
  });
  afterAll(async () => {
    await driver.close();
    await libvirtd[Symbol.asyncDispose]();
  });

  function define(name: string, found: GuestParts): void {
    const kernel = libvirtd.file('vmlinuz', readFileSync(found.kernel));
    const initrd = libvirtd.file('initramfs', initramfs(found));
    libvirtd.define({
      name,
      memoryMib: 256,
      boot: `<kernel>${kernel}</kernel><initrd>${initrd}</initrd><cmdline>quiet panic=-1</cmdline>`,
      more: `<cpu mode='maximum'/><features><acpi/></features>`,
    });
  }

  async function echo(socket: Socket, line: string): Promise<string> {
    socket.write(`${line}\n`);
    let answer = '';
    for await (const part of socket.iterator({ destroyOnReturn: false })) {
      answer += part;
      if (answer.endsWith('\n')) break;
    }
    return answer.trim();
  }

  it(
    'opens the port that is attached while it runs, and tells of its reboots and its end',
    async () => {
      const changes = new DomainChanges(driver);
      define('vm', parts as GuestParts);
      const { id } = (await changes.next('defined')).domain;
      await driver.start(id);
      await driver.attach(id);
      const { domain } = await changes.where(({ domain }) => domain.port === 'connected');

      const socket = connect(domain.socket ?? '');
      expect(await echo(socket, 'hello')).toBe('hello');
      socket.write('reboot\n');
      expect((await changes.next('rebooted')).domain.generation).toBeGreaterThan(domain.generation);
      await changes.where(({ domain: { port } }) => port === 'connected');
      expect(await echo(socket, 'again')).toBe('again');
      socket.write('poweroff\n');
      await changes.next('stopped');
      expect(await driver.listDomains()).toMatchObject([{ state: 'off', port: 'disconnected' }]);
      socket.destroy();
    },
    BOOT_MS,
  );
});
