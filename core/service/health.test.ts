import { describe, expect, it } from 'vitest';
import { HypervisorError } from '../hypervisor/error.ts';
import type { HypervisorStatus } from '../hypervisor/port.ts';
import { healthOf } from './health.ts';

const since = new Date(0);
const connected: HypervisorStatus = { state: 'connected', since };

describe('the service', () => {
  it('is ready when it reaches its guests and may act', () => {
    expect(healthOf([connected, connected], undefined)).toEqual({ live: true, ready: true, reasons: [] });
    expect(healthOf([], undefined).ready).toBe(true);
    expect(healthOf([connected], undefined, ['the scans cannot be read: \x1b[2J']).reasons).toEqual([
      'the scans cannot be read: \\x1b[2J',
    ]);
  });

  it('names each reason why it is not, in a harmless way', () => {
    const error = new HypervisorError('connection-failed', 'no \x1b[2J libvirt');
    const lost: HypervisorStatus = { state: 'reconnecting', since, error, attempts: 3 };
    const begun: HypervisorStatus = { state: 'reconnecting', since, error: undefined, attempts: 0 };
    expect(healthOf([connected, lost, begun], 'the event spool is full')).toEqual({
      live: true,
      ready: false,
      reasons: [
        'the hypervisor is not connected: no \\x1b[2J libvirt',
        'the hypervisor is not connected',
        'the event spool is full',
      ],
    });
  });
});
