/** A file that is not what its guest said it is: a finding in itself, whatever it holds. */
import type { Lie } from './known-guest.ts';
import type { AttributedDetection } from './verdict.ts';

/** Who says so: the scan itself, and no plugin. */
const DETECTOR = 'known-content';

export function detectionOfLie({ said, found }: Lie): AttributedDetection {
  const what = said.isClaimed
    ? { name: 'agent-lied-about-hash', description: 'The agent said that this file has the SHA-256' }
    : { name: 'changed-without-a-trace', description: 'By its metadata this file still has the SHA-256' };
  return {
    detector: DETECTOR,
    judgement: 'suspicious',
    name: what.name,
    description: `${what.description} ${said.sha256}, and it has ${found}: the guest hides something`,
    attack: ['T1014'],
  };
}
