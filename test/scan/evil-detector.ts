/** A detector for scans in memory: what contains `evil` is malicious, what contains `odd` suspicious; processes that run malicious files are. */
import { readFileSync } from 'node:fs';
import type { Answer, Detection, Detector, Subject } from '../../core/api/index.ts';

export function evilDetector(overrides: Partial<Detector> = {}): Detector & { readonly shown: Subject[] } {
  const shown: Subject[] = [];
  async function* detect(subjects: readonly Subject[]): AsyncGenerator<Answer> {
    for (const subject of subjects) {
      shown.push(subject);
      yield { subject: subject.id, detections: judge(subject) };
    }
  }
  return {
    engine: { name: 'evil', version: '1', signatures: '1', signatureCount: 2 },
    problems: [],
    concurrency: 1,
    wants: () => true,
    detect,
    close: async () => undefined,
    ...overrides,
    shown,
  };
}

function judge(subject: Subject): Detection[] {
  if (subject.kind === 'process') {
    const guilty = subject.executable?.detections?.some(({ judgement }) => judgement === 'malicious');
    return guilty ? [{ judgement: 'malicious', name: 'Runs_Evil' }] : [];
  }
  const text = readFileSync(subject.content, 'utf8');
  if (text.includes('evil')) return [{ judgement: 'malicious', name: 'Evil' }];
  return text.includes('odd') ? [{ judgement: 'suspicious', name: 'Odd' }] : [];
}
