/** Where guests come from, as it is configured. */
import type { Logger } from '../api/index.ts';
import type { Settings } from '../config/index.ts';
import { LibvirtDriver } from '../hypervisor/libvirt/driver.ts';
import type { HostDomain } from '../hypervisor/port.ts';
import { isSelected } from '../hypervisor/selection.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import type { GuestSource } from './guests.ts';

type Places = Pick<Settings, 'libvirt' | 'vms' | 'sockets'>;

const all = (): boolean => true;

/** Each is closed by whoever has it. */
export function sourcesOf({ libvirt, vms }: Places, logger: Logger): GuestSource[] {
  return [
    ...(libvirt.enabled ? [libvirtSource(libvirt, logger)] : []),
    ...(vms.length > 0 ? [{ port: configuredSockets(vms), isSelected: all }] : []),
  ];
}

function libvirtSource({ uri, select, attach }: Settings['libvirt'], logger: Logger): GuestSource {
  const driver = new LibvirtDriver({ uri, logger });
  const { names, uuids, exclude } = select;
  const metadata = select.metadata.map((namespace) => ({ namespace }));
  const selection = { names, uuids, metadata, except: { names: exclude } };
  return {
    port: driver,
    control: driver,
    attach,
    isSelected: (domain: HostDomain) => isSelected(domain, selection),
  };
}
