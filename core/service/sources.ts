/** Where guests come from, as it is configured. */
import type { Logger } from '../api/index.ts';
import type { Settings } from '../config/index.ts';
import { KeptAttached } from '../hypervisor/keep-attached.ts';
import { LibvirtDriver } from '../hypervisor/libvirt/driver.ts';
import type { HostDomain, HypervisorPort } from '../hypervisor/port.ts';
import { isSelected } from '../hypervisor/selection.ts';
import { SocketGlob } from '../hypervisor/socket-glob.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import { DetachingControl } from './detaching-control.ts';
import type { GuestSource, Guests } from './guests.ts';
import type { Part } from './parts.ts';

type Places = Pick<Settings, 'libvirt' | 'vms' | 'sockets'>;

/** A source, and how to let go of it. */
export interface OpenSource extends GuestSource {
  close(): Promise<void>;
}

/** Has `guests` look after those that the configuration names. */
export const guestsOfHost = (guests: Guests, logger: Logger): Part => ({
  name: 'what finds guests',
  keys: ['libvirt', 'vms', 'sockets'],
  start: async (settings) => {
    const sources = sourcesOf(settings, logger);
    for (const source of sources) await guests.add(source);
    return {
      [Symbol.asyncDispose]: async () => {
        await Promise.all(sources.map((source) => guests.remove(source)));
        await Promise.all(sources.map((source) => source.close()));
      },
    };
  },
});

const all = (): boolean => true;

export function sourcesOf({ libvirt, vms, sockets }: Places, logger: Logger): OpenSource[] {
  return [
    ...(libvirt.enabled ? [libvirtSource(libvirt, logger)] : []),
    ...(vms.length > 0 ? [plainSource(configuredSockets(vms))] : []),
    ...sockets.map(({ glob, name }) => plainSource(new SocketGlob({ glob, nameFrom: name, logger }))),
  ];
}

const plainSource = (port: HypervisorPort): OpenSource => ({
  port,
  isSelected: all,
  close: () => port.close(),
});

function libvirtSource({ uri, select, attach }: Settings['libvirt'], logger: Logger): OpenSource {
  const driver = new LibvirtDriver({ uri, logger });
  const { names, uuids, exclude } = select;
  const metadata = select.metadata.map((namespace) => ({ namespace }));
  const selection = { names, uuids, metadata, except: { names: exclude } };
  const selected = (domain: HostDomain): boolean => isSelected(domain, selection);
  const control = new DetachingControl(driver);
  const isWanted = (domain: HostDomain): boolean => selected(domain) && !control.wasDetached(domain.id);
  const kept = attach ? new KeptAttached({ port: driver, channels: driver, isWanted, logger }) : undefined;
  return {
    port: driver,
    control: control.verbs,
    isSelected: selected,
    close: async () => {
      await kept?.[Symbol.asyncDispose]();
      await driver.close();
    },
  };
}
