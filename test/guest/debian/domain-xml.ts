/**
 * A Debian guest as a libvirt domain, emulated and booted straight from kernel and initramfs, so that it runs under any
 * libvirtd. It has no channel: attaching one is the service's work.
 * Source: https://libvirt.org/formatdomain.html
 */
import type { DebianImage } from './image.ts';

export interface DomainRequest {
  readonly name: string;
  readonly uuid: string;
  readonly image: DebianImage;
  readonly emulator: string;
  /** SMBIOS OEM strings, such as `io.systemd.credential:NAME=VALUE`. */
  readonly oemStrings?: readonly string[];
  /** MiB. Default: 512. */
  readonly memory?: number;
  /** A file for the serial console. Default: none. */
  readonly console?: string;
}

export function debianDomainXml(request: DomainRequest): string {
  const { name, uuid, image, emulator, oemStrings = [], memory = 512, console } = request;
  const entries = oemStrings.map((one) => `<entry>${escaped(one)}</entry>`).join('');
  const sysinfo = `<sysinfo type='smbios'><oemStrings>${entries}</oemStrings></sysinfo>`;
  const serial =
    console === undefined ? '' : `<serial type='file'><source path='${escaped(console)}'/></serial>`;
  return `<domain type='qemu'>
  <name>${escaped(name)}</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>${memory}</memory>
  <vcpu>1</vcpu>
  ${entries === '' ? '' : sysinfo}
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>${escaped(image.kernel)}</kernel>
    <initrd>${escaped(image.initramfs)}</initrd>
    <cmdline>${escaped(image.append)}</cmdline>
    ${entries === '' ? '' : "<smbios mode='sysinfo'/>"}
  </os>
  <features><acpi/></features>
  <cpu mode='maximum'/>
  <devices>
    <emulator>${escaped(emulator)}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe'/>
      <source file='${escaped(image.disk)}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <controller type='virtio-serial'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    ${serial}
  </devices>
</domain>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
};
const escaped = (text: string): string => text.replaceAll(/[&<>'"]/g, (one) => ENTITIES[one] ?? one);
