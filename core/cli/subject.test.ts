import { describe, expect, it } from 'vitest';
import { finding, processFinding } from '../../test/records.ts';
import type { FindingSubject } from '../store/records.ts';
import { subjectText } from './subject.ts';

const process = (more: object): FindingSubject =>
  ({ ...processFinding().subject, ...more }) as FindingSubject;

describe('a subject', () => {
  it('is a path', () => {
    expect(subjectText(finding().subject)).toBe('/tmp/eicar.com');
  });

  it.each([
    [{}, 'process 4711 (/tmp/.x)'],
    [{ namespace: 'foreign' }, 'process 4711 (/tmp/.x in a mount namespace of its own)'],
    [
      { namespace: 'foreign', container: { runtime: 'docker', id: '0123456789abcdef'.repeat(4) } },
      'process 4711 (/tmp/.x in docker 0123456789ab)',
    ],
    [
      { namespace: 'foreign', container: { runtime: 'lxc', id: 'a-name-that-is-longer\u001b' } },
      'process 4711 (/tmp/.x in lxc a-name-that-is-longer\\x1b)',
    ],
  ])('is a process, with where it is: %j', (more, text) => {
    expect(subjectText(process(more))).toBe(text);
  });
});
