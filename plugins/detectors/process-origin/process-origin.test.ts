import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ProcessSubject } from 'lazaret/plugin';
import { expect, it } from 'vitest';
import { processSubject } from '../../../test/conformance/subjects.ts';
import { judge } from './process-origin-detector.ts';

interface Case {
  readonly name: string;
  readonly executable?: NonNullable<ProcessSubject['executable']>;
  readonly expected: readonly (readonly [
    judgement: string,
    name: string,
    attack: readonly string[] | null,
  ])[];
}
const CASES: readonly Case[] = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'fixtures', 'processes.json'), 'utf8'),
);

it.each(CASES)('$name', ({ executable, expected }) => {
  const { executable: _, ...rest } = processSubject();
  const detections = judge(executable === undefined ? rest : { ...rest, executable });
  expect(detections.map(({ judgement, name, attack }) => [judgement, name, attack ?? null])).toEqual(
    expected,
  );
});

it('keeps the name within its bounds', () => {
  const name = 'n'.repeat(200);
  const [detection] = judge(processSubject({ detections: [{ judgement: 'malicious', name }] }));
  expect(detection?.name).toHaveLength(200);
});
