/** The service of this host, and the libvirt that it would look after. Nothing is changed. */
import { displayText } from '../../protocol/index.ts';
import type { Settings } from '../config/index.ts';
import { describeError } from '../error.ts';
import type { HostDomain } from '../hypervisor/port.ts';
import type { DaemonClient } from '../service/client.ts';
import type { VmView } from '../service/views.ts';
import type { Check } from './checkup.ts';

const NAME = 'service';
const LIBVIRT = 'libvirt';
const LIBVIRT_MS = 10_000;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** The service that listens where the configuration says; undefined when there is none, or it cannot be asked. */
export async function findService(
  settings: Settings,
): Promise<{ readonly service: DaemonClient | undefined; readonly checks: readonly Check[] }> {
  const { connectDaemon } = await import('../service/client.ts');
  try {
    const service = await connectDaemon(settings.api.socket);
    if (service) return { service, checks: [await conditionOf(service)] };
    const detail = `none runs (${settings.api.socket})`;
    return {
      service: undefined,
      checks: [{ name: NAME, status: 'warn', detail, remedy: 'systemctl start lazaret, or lazaret serve' }],
    };
  } catch (error) {
    return {
      service: undefined,
      checks: [{ name: NAME, status: 'fail', detail: describeError(error).message }],
    };
  }
}

async function conditionOf(service: DaemonClient): Promise<Check> {
  const { ready, reasons } = await service.health();
  if (ready) return { name: NAME, status: 'ok', detail: 'it runs' };
  const remedy = 'journalctl -u lazaret tells more';
  return { name: NAME, status: 'warn', detail: reasons.map(displayText).join('; '), remedy };
}

/** As the service has them: it holds their channels, and whoever else connects would be in its way. */
export async function checkGuests(service: DaemonClient): Promise<Check[]> {
  return (await service.vms()).map(checkGuest);
}

function checkGuest({ name, power, connection }: VmView): Check {
  const of = `vm ${name}`;
  if (connection.state === 'connected') return { name: of, status: 'ok', detail: 'connected' };
  if (power === 'off') return { name: of, status: 'ok', detail: 'off' };
  const detail = connection.error ? displayText(connection.error.message) : connection.state;
  const remedy = `lazaret vm show ${name} tells more`;
  return { name: of, status: connection.state === 'suspended' ? 'fail' : 'warn', detail, remedy };
}

/** Connects as the service would, as this user. Nothing when libvirt is not configured. */
export async function checkLibvirt({ libvirt }: Settings): Promise<Check[]> {
  if (!libvirt.enabled) return [];
  const { LibvirtDriver } = await import('../hypervisor/libvirt/driver.ts');
  const driver = new LibvirtDriver({ uri: libvirt.uri, logger: silent, deadlineMs: LIBVIRT_MS });
  try {
    const domains = await driver.listDomains();
    return [{ name: LIBVIRT, status: 'ok', detail: `${libvirt.uri}: ${countOf(domains)}` }];
  } catch (error) {
    const remedy = 'start libvirtd; the user of lazaret must be in the group libvirt';
    return [{ name: LIBVIRT, status: 'fail', detail: describeError(error).message, remedy }];
  } finally {
    await driver.close();
  }
}

function countOf(domains: readonly HostDomain[]): string {
  const running = domains.filter(({ state }) => state === 'running').length;
  return `${domains.length} domains, ${running} of them running`;
}
