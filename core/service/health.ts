import { displayText } from '../../protocol/index.ts';
import type { HypervisorStatus } from '../hypervisor/port.ts';
import type { HealthView } from './views.ts';

/** Live as long as it answers; ready when it reaches its guests, keeps what it finds, and may act. Every reason against it is named. */
export function healthOf(
  hypervisors: readonly HypervisorStatus[],
  whyEventsAreFull: string | undefined,
  whyNotKept: readonly string[] = [],
): HealthView {
  const reasons = hypervisors.flatMap((status) => {
    if (status.state === 'connected') return [];
    const why = status.state === 'reconnecting' ? status.error?.message : undefined;
    return [`the hypervisor is not connected${why === undefined ? '' : `: ${displayText(why)}`}`];
  });
  reasons.push(...whyNotKept.map(displayText));
  if (whyEventsAreFull !== undefined) reasons.push(whyEventsAreFull);
  return { live: true, ready: reasons.length === 0, reasons };
}
