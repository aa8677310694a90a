import type { Answer, Detection, UnscannedReason } from '../api/index.ts';

export type AttributedDetection = Detection & { readonly detector: string };

/** Why a subject has no complete answer. */
export interface Unfinished {
  readonly reason: UnscannedReason;
  readonly detail?: string;
}

/**
 * What is held of one subject. `clean` means that every detector that wanted it finished, and found nothing.
 * A detection stands even where another detector did not finish; `unfinished` then says so.
 */
export type Verdict =
  | { readonly state: 'clean' }
  | {
      readonly state: 'malicious' | 'suspicious';
      readonly detections: readonly AttributedDetection[];
      readonly unfinished?: Unfinished;
    }
  | { readonly state: 'unscanned'; readonly unfinished: Unfinished };

/**
 * Statements of one detector that are kept of one subject: a file can be made that each rule of a large set matches.
 * Those that say malicious come first where some are left out.
 */
const MOST_DETECTIONS = 64;

function bounded(detections: readonly Detection[]): readonly Detection[] {
  if (detections.length <= MOST_DETECTIONS) return detections;
  const isWorst = ({ judgement }: Detection) => judgement === 'malicious';
  const worstFirst = [...detections.filter(isWorst), ...detections.filter((each) => !isWorst(each))];
  const kept = worstFirst.slice(0, MOST_DETECTIONS - 1);
  const left = worstFirst.slice(kept.length);
  const { judgement } = left.find(isWorst) ?? (left[0] as Detection);
  return [...kept, { judgement, name: `and ${left.length} more` }];
}

/** Joins the answers of all detectors that wanted a subject, each with its detector's name. */
export function judge(answers: readonly { detector: string; answer: Answer }[]): Verdict {
  const detections: AttributedDetection[] = [];
  let unfinished: Unfinished | undefined;
  for (const { detector, answer } of answers) {
    if ('unscanned' in answer) {
      const detail = answer.detail ? `${detector}: ${answer.detail}` : detector;
      unfinished ??= { reason: answer.unscanned, detail };
    } else detections.push(...bounded(answer.detections).map((detection) => ({ ...detection, detector })));
  }
  if (detections.length === 0) return unfinished ? { state: 'unscanned', unfinished } : { state: 'clean' };
  const malicious = detections.some((detection) => detection.judgement === 'malicious');
  return {
    state: malicious ? 'malicious' : 'suspicious',
    detections,
    ...(unfinished && { unfinished }),
  };
}

/** The verdict with what else was found out about its subject. */
export function withDetections(verdict: Verdict, more: readonly AttributedDetection[]): Verdict {
  if (more.length === 0) return verdict;
  const detections = 'detections' in verdict ? [...verdict.detections, ...more] : more;
  const malicious = detections.some(({ judgement }) => judgement === 'malicious');
  const unfinished = 'unfinished' in verdict ? verdict.unfinished : undefined;
  return {
    state: malicious ? 'malicious' : 'suspicious',
    detections,
    ...(unfinished && { unfinished }),
  };
}
