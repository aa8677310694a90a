/** A file that is not what its guest said it is: a finding in itself, whatever it holds. */
import type { Lie } from './known-guest.ts';
import type { AttributedDetection, Verdict } from './verdict.ts';

/** Who says so: the scan itself, and no plugin. */
const DETECTOR = 'known-content';

/** The verdict on the file's content, with what was found out about its guest. */
export function accused(verdict: Verdict, lie: Lie): Verdict {
  const detection = detectionOf(lie);
  switch (verdict.state) {
    case 'clean':
      return { state: 'suspicious', detections: [detection] };
    case 'unscanned':
      return { state: 'suspicious', detections: [detection], unfinished: verdict.unfinished };
    default:
      return { ...verdict, detections: [...verdict.detections, detection] };
  }
}

function detectionOf({ said, found }: Lie): AttributedDetection {
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
