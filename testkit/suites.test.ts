/** The suites let good plugins pass, and say of bad ones what is wrong. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answer,
  type Detector,
  definePlugin,
  type FileSubject,
  type Patch,
  PluginError,
  type Remediation,
  type Subject,
} from '../core/api/index.ts';
import {
  type Case,
  type DetectorSamples,
  detectorSuite,
  fileSubject,
  type PatchTrial,
  patchSuite,
  remediationSuite,
} from './index.ts';

/** The names of the cases that fail. */
async function failures(cases: readonly Case[]): Promise<string[]> {
  const failed: string[] = [];
  for (const { name, run } of cases) await run().catch(() => failed.push(name));
  return failed;
}
const options = { '~standard': { version: 1, vendor: 'test', validate: () => ({ value: {} }) } } as const;

let directory: string;
let samples: DetectorSamples & { readonly vanished: FileSubject };
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-suites-'));
  const file = (name: string): FileSubject => {
    writeFileSync(join(directory, name), name);
    return fileSubject(join(directory, name));
  };
  samples = {
    malicious: file('evil'),
    clean: file('good'),
    malformed: [file('odd')],
    vanished: fileSubject(join(directory, 'never-was')),
  };
});
afterAll(() => rmSync(directory, { recursive: true }));

function answerFor(subject: Subject): Answer {
  try {
    const evil = subject.kind === 'file' && readFileSync(subject.content, 'utf8').includes('evil');
    return { subject: subject.id, detections: evil ? [{ judgement: 'malicious', name: 'Evil' }] : [] };
  } catch {
    return { subject: subject.id, unscanned: 'io-error' };
  }
}

const detector = (changes: Partial<Detector> = {}): Detector => ({
  engine: { name: 'evil', version: '1', signatures: '1', signatureCount: 1 },
  problems: [],
  concurrency: 2,
  wants: () => true,
  async *detect(subjects, signal) {
    for (const subject of subjects) if (!signal.aborted) yield answerFor(subject);
  },
  close: async () => undefined,
  ...changes,
});
const detectorFailures = (changes?: Partial<Detector>) =>
  failures(detectorSuite({ open: async () => detector(changes), samples }));

describe('the suite of detectors', () => {
  it('lets a good one pass', async () => {
    expect(await detectorFailures()).toEqual([]);
    const { vanished: _, ...without } = samples;
    const cases = detectorSuite({ open: async () => detector(), samples: without });
    expect(await failures(cases)).toEqual([]);
    expect(cases).toHaveLength(10);
  });

  it('says what is wrong with a bad one', async () => {
    const answering = (answer: (subject: Subject) => readonly Answer[]): Partial<Detector> => ({
      async *detect(subjects) {
        for (const subject of subjects) yield* answer(subject);
      },
    });
    const clean = ({ id }: Subject): Answer => ({ subject: id, detections: [] });
    expect(await detectorFailures({ engine: { ...detector().engine, signatures: '' } })).toEqual([
      'says who it is and how much it takes',
    ]);
    let asked = 0;
    expect(await detectorFailures({ wants: () => asked++ % 2 === 0 })).toEqual([
      'says what it wants, always the same of the same',
    ]);
    expect(await detectorFailures(answering((subject) => [clean(subject)]))).toEqual([
      'finds what it is for, in words that fit',
      'never takes a content that it could not read for clean',
      'ends when it is aborted, and calls nothing clean that it did not look at',
    ]);
    expect(await detectorFailures(answering(() => []))).toContain(
      'answers each subject once, the malformed and the vanished too',
    );
    const twice = await detectorFailures(answering((subject) => [answerFor(subject), answerFor(subject)]));
    expect(twice).toContain('answers each subject once, the malformed and the vanished too');
    const odd: Answer['subject'] = 'x'.repeat(201);
    expect(
      await detectorFailures(
        answering(({ id }) => [{ subject: id, detections: [{ judgement: 'malicious', name: odd }] }]),
      ),
    ).toEqual(
      expect.arrayContaining(['finds what it is for, in words that fit', 'finds nothing in what is clean']),
    );
  });

  it('sees a process that is left behind', async () => {
    const started: ReturnType<typeof spawn>[] = [];
    const open = async (): Promise<Detector> => {
      started.push(spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' }));
      return detector();
    };
    const cases = detectorSuite({ open, samples }).slice(-1);
    expect(await failures(cases)).toEqual(['leaves no process behind when it is closed, however often']);
    for (const child of started) child.kill('SIGKILL');
  });
});

const remediation = (propose: Remediation['propose']) =>
  definePlugin({
    meta: { kind: 'remediation', id: 'r', version: '1', description: 'R' },
    options,
    requires: ['stop:process'],
    setup: () => ({ propose }),
  });

describe('the suite of remediations', () => {
  it('lets a good one pass, and says what is wrong with a bad one', async () => {
    const good: Remediation['propose'] = (finding, { mode, grants }) =>
      finding.kind === 'process' &&
      finding.judgement === 'malicious' &&
      mode !== 'detect' &&
      grants('stop:process')
        ? [{ stage: 'stop', instruction: 'stop:process', target: finding.process }]
        : [];
    expect(await failures(remediationSuite(remediation(good)))).toEqual([]);
    expect(await failures(remediationSuite(remediation(() => [])))).toEqual([
      'proposes something when it may do all',
    ]);
    const target = { pid: 1, start: '1', executable: { dev: '1', ino: '1' } };
    const eager = remediation(() => [{ stage: 'stop', instruction: 'stop:process', target }]);
    expect(await failures(remediationSuite(eager))).toEqual([
      'proposes only what was granted and what it requires, in a stage that there is',
      'proposes nothing where only detection is asked for',
      'proposes nothing for what is merely suspicious',
      'aims at nothing but what the finding names, and leaves the finding as it is',
    ]);
  });
});

/** Wants `/f` to hold `good`, where it holds `weak`. */
const patch = (changes: Partial<Patch> = {}): Patch => ({
  id: 'p',
  title: 'P',
  async plan(guest) {
    const before = await guest.readFile('/f');
    const text = before?.content.toString();
    if (text === 'good') return { state: 'satisfied' };
    if (text !== 'weak') return { state: 'refused', reason: 'it is odd' };
    return { state: 'applicable', changes: [{ path: '/f', before, after: Buffer.from('good') }] };
  },
  verify: async (guest) =>
    (await guest.readFile('/f'))?.content.toString() === 'good' ? [] : ['it is not good'],
  ...changes,
});
const patchTrial = (changes?: Partial<Patch>): PatchTrial => ({
  plugin: definePlugin({
    meta: { kind: 'patch', id: 'p', version: '1', description: 'P' },
    options,
    requires: [],
    setup: () => ({
      load: async (path) => {
        if (path === 'faulty') throw new PluginError('bad-bundle', 'faulty');
        return path === 'bundle' ? patch(changes) : undefined;
      },
    }),
  }),
  bundle: 'bundle',
  faulty: 'faulty',
  foreign: 'foreign',
  weak: { '/f': 'weak' },
  malformed: { '/f': 'odd' },
});

describe('the suite of patches', () => {
  it('lets a good one pass, and says what is wrong with a bad one', async () => {
    expect(await failures(patchSuite(patchTrial()))).toEqual([]);
    expect(await failures(patchSuite(patchTrial({ title: '' })))).toEqual([
      'reads its bundles, and leaves others alone',
    ]);
    expect(await failures(patchSuite(patchTrial({ verify: async () => [] })))).toEqual([
      'is verified once its changes are made, and only then, and is satisfied',
      'does not take a file that cannot be read for one that is not there',
    ]);
    expect(await failures(patchSuite({ ...patchTrial(), bundle: 'foreign' }))).toHaveLength(6);
  });
});
