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

/** Joins the answers of all detectors that wanted a subject, each with its detector's name. */
export function judge(answers: readonly { detector: string; answer: Answer }[]): Verdict {
  const detections: AttributedDetection[] = [];
  let unfinished: Unfinished | undefined;
  for (const { detector, answer } of answers) {
    if ('unscanned' in answer) {
      const detail = answer.detail ? `${detector}: ${answer.detail}` : detector;
      unfinished ??= { reason: answer.unscanned, detail };
    } else detections.push(...answer.detections.map((detection) => ({ ...detection, detector })));
  }
  if (detections.length === 0) return unfinished ? { state: 'unscanned', unfinished } : { state: 'clean' };
  const malicious = detections.some((detection) => detection.judgement === 'malicious');
  return { state: malicious ? 'malicious' : 'suspicious', detections, ...(unfinished && { unfinished }) };
}

/** The verdict with what else was found out about its subject. */
export function withDetections(verdict: Verdict, more: readonly AttributedDetection[]): Verdict {
  if (more.length === 0) return verdict;
  const detections = 'detections' in verdict ? [...verdict.detections, ...more] : more;
  const malicious = detections.some(({ judgement }) => judgement === 'malicious');
  const unfinished = 'unfinished' in verdict ? verdict.unfinished : undefined;
  return { state: malicious ? 'malicious' : 'suspicious', detections, ...(unfinished && { unfinished }) };
}
