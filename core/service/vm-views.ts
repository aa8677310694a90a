/** A VM as others see it: what its hypervisor tells, what its connection is like, and what was written down. */
import { displayText } from '../../protocol/index.ts';
import type { HostDomain } from '../hypervisor/port.ts';
import type { Records } from '../services.ts';
import type { ScanRecord, VmRecord } from '../store/records.ts';
import type { GuestWatch } from './guest-watch.ts';
import type { ConnectionView, ScanView, VmName, VmView } from './views.ts';

const POWER: Readonly<Record<HostDomain['state'], VmView['power']>> = {
  running: 'running',
  paused: 'paused',
  suspended: 'paused',
  off: 'off',
  crashed: 'off',
  unknown: 'unknown',
};

const CHANNEL: Readonly<Record<HostDomain['port'], VmView['channel']>> = {
  connected: 'open',
  disconnected: 'closed',
  absent: 'absent',
  unknown: 'unknown',
};

/** What is in no group of the configuration. */
const NO_GROUP = 'default';

export const powerOf = ({ state }: Pick<HostDomain, 'state'>): VmView['power'] => POWER[state];

export interface VmViewParts {
  readonly records: Pick<Records, 'vms' | 'scans'>;
  readonly groupOf: (vm: VmName) => string | undefined;
  readonly nextScanOf: (vm: string) => Date | undefined;
}

export function vmView(watch: GuestWatch, { records, groupOf, nextScanOf }: VmViewParts): VmView {
  const { domain } = watch;
  const record = records.vms.readable(domain.id);
  const last = records.scans.lastOf(domain.id);
  const next = nextScanOf(domain.id);
  return {
    id: domain.id,
    name: domain.name,
    group: groupOf(domain) ?? NO_GROUP,
    power: powerOf(domain),
    channel: domain.socket === undefined && domain.state === 'running' ? 'absent' : CHANNEL[domain.port],
    connection: connectionOf(watch, record),
    ...(record && { lastSeen: record.lastSeen, agentVersion: record.login.agent.version }),
    ...(record?.features && { system: displayText(record.features['x-lazaret'].os.name) }),
    ...(record?.instructionSet && { instructionSet: record.instructionSet.id }),
    ...(record?.suspended && { suspended: { ...record.suspended } }),
    ...(record?.resetAt !== undefined && { resetAt: record.resetAt }),
    ...(last && { lastScan: scanView(last, domain) }),
    ...(next && { nextScan: next.getTime() }),
  };
}

function connectionOf({ connection }: GuestWatch, record: VmRecord | undefined): ConnectionView {
  if (connection.state !== 'connected' || record?.suspended === undefined) return connection;
  const { at, reason } = record.suspended;
  return { state: 'suspended', since: at, error: { code: 'suspended', message: reason } };
}

/** A scan that only the records know of any more. */
export function scanView(record: ScanRecord, { id, name }: VmName): ScanView {
  const { startedAt, finishedAt, summary, error, mode, dryRun, trigger, partial, state } = record;
  return {
    id: record.id,
    vm: { id, name },
    ...{ mode, dryRun, trigger, state, queuedAt: startedAt, startedAt },
    ...(partial && { partial }),
    ...(finishedAt !== undefined && { finishedAt }),
    ...(summary && { summary: { ...summary, unscanned: { ...summary.unscanned } } }),
    ...(error && { error }),
  };
}
