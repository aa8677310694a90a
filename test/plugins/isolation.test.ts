/** Plugins of third parties, well and ill meant, each in its process. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer, Detector, FileSubject } from '../../core/api/index.ts';
import { type IsolationLimits, LIMITS } from '../../core/plugin/isolated-detector.ts';
import { isolatedPlugin } from '../../core/plugin/isolated-plugin.ts';
import { readPackage } from '../../core/plugin/manifest.ts';
import { contextWith, fileSubject } from '../conformance/subjects.ts';

const fixture = (id: string): string => join(import.meta.dirname, 'fixtures', `lazaret-plugin-${id}`);
const never = new AbortController().signal;
const opened: Detector[] = [];
let spool: string;

beforeEach(() => {
  spool = mkdtempSync(join(tmpdir(), 'lazaret-isolation-'));
});
afterEach(async () => {
  for (const detector of opened.splice(0)) await detector.close();
  // Nothing that was handed over is left.
  expect(readdirSync(spool).filter((name) => name.startsWith('lazaret-plugin-'))).toEqual([]);
  rmSync(spool, { recursive: true });
});

async function open(id: string, limits: Partial<IsolationLimits> = {}): Promise<Detector> {
  const plugin = isolatedPlugin(readPackage(fixture(id)), [spool], { ...LIMITS, ...limits });
  const detector = await plugin.setup(contextWith({}));
  opened.push(detector);
  expect(detector.problems).toEqual([]);
  return detector;
}

function spooled(name: string): FileSubject {
  const content = join(spool, name);
  writeFileSync(content, name);
  return fileSubject(content);
}

/** The answers until it ends, and the error with which it did. */
async function outcome(detector: Detector, subjects: readonly FileSubject[]) {
  const answers: Answer[] = [];
  try {
    for await (const answer of detector.detect(subjects, never)) answers.push(answer);
    return { answers };
  } catch (error) {
    return { answers, error };
  }
}

const failure = (about: RegExp) =>
  expect.objectContaining({ code: 'engine-failed', message: expect.stringMatching(about) });

describe('a plugin that fails', () => {
  it.each([
    ['exit', {}, /exit 3/],
    ['hang', { fileMs: 300 }, /did not answer within 300 ms/],
    ['leak', { memoryBytes: 200 * 1024 * 1024 }, /more than 200 MiB/],
  ])('%s: ends with its process, answers for nobody, and is started again', async (id, limits, reason) => {
    const detector = await open(id, limits);
    const good = spooled('good');
    const poison = spooled('poison');
    const behind = spooled('behind');
    const first = await outcome(detector, [good, poison, behind]);
    expect(first.answers).toEqual([{ subject: good.id, detections: [] }]);
    expect(first.error).toEqual(failure(reason));
    expect(await outcome(detector, [behind])).toEqual({
      answers: [{ subject: behind.id, detections: [] }],
    });
  });

  it('again and again is left alone, and tried once more after the pause', async () => {
    const detector = await open('exit', { failures: 2, pauseMs: 60_000 });
    for (let time = 0; time < 2; time++) {
      expect((await outcome(detector, [spooled('poison')])).error).toEqual(failure(/exit 3/));
    }
    expect((await outcome(detector, [spooled('good')])).error).toEqual(failure(/left alone for a while/));

    const hasty = await open('exit', { failures: 1, pauseMs: 0 });
    await outcome(hasty, [spooled('poison')]);
    expect((await outcome(hasty, [spooled('good')])).answers).toHaveLength(1);
  });

  it('floods findings: they are cut off, and what was found stays found', async () => {
    const detector = await open('flood');
    const subjects = Array.from({ length: 40 }, (_, index) => spooled(`file-${index}`));
    const { answers, error } = await outcome(detector, subjects);
    expect(error).toBeUndefined();
    const counts = answers.map((answer) => ('detections' in answer ? answer.detections.length : 0));
    expect(counts).toHaveLength(subjects.length);
    expect(Math.max(...counts)).toBe(64);
    expect(Math.min(...counts)).toBe(1);
    expect(counts.reduce((sum, count) => sum + count)).toBeLessThan(1_100);
  });

  it('lies: an answer for another subject counts for nothing, one that makes no sense ends it', async () => {
    const detector = await open('lie');
    const { answers, error } = await outcome(detector, [spooled('file')]);
    expect(answers).toEqual([]);
    expect(error).toEqual(failure(/does not understand/));
  });

  it('does not even start: that is a problem of the scan, and no subject is clean', async () => {
    const directory = join(spool, 'lazaret-plugin-broken');
    mkdirSync(directory);
    const lazaret = { kind: 'detector', api: 1, entry: 'index.js', id: 'broken' };
    const described = { name: 'lazaret-plugin-broken', version: '1.0.0', type: 'module', lazaret };
    writeFileSync(join(directory, 'package.json'), JSON.stringify(described));
    writeFileSync(join(directory, 'index.js'), 'throw new Error("not today");');
    const plugin = isolatedPlugin(readPackage(directory), [spool]);
    const detector = await plugin.setup(contextWith({}));
    opened.push(detector);
    expect(detector.problems).toEqual([{ file: directory, message: expect.stringContaining('not today') }]);
    expect(await outcome(detector, [spooled('file')])).toEqual({ answers: [], error: failure(/not today/) });
    rmSync(directory, { recursive: true });
  });
});

it('a plugin reads what it was handed, and reaches nothing else', async () => {
  const detector = await open('spy');
  const { answers } = await outcome(detector, [spooled('file')]);
  const [answer] = answers;
  if (!answer || !('detections' in answer)) throw new Error('no answer');
  expect(JSON.parse(answer.detections[0]?.description ?? '')).toEqual({
    own: 'done',
    other: 'ERR_ACCESS_DENIED',
    host: 'ERR_ACCESS_DENIED',
    write: 'ERR_ACCESS_DENIED',
    spawn: 'ERR_ACCESS_DENIED',
    worker: 'ERR_ACCESS_DENIED',
    network: 'ERR_ACCESS_DENIED',
    environment: '',
  });
});

it('a cancelled call ends, and the next one is answered', async () => {
  const detector = await open('exit');
  const abort = new AbortController();
  const many = Array.from({ length: 50 }, (_, index) => spooled(`file-${index}`));
  for await (const _ of detector.detect(many, abort.signal)) abort.abort();
  expect((await outcome(detector, [spooled('good')])).answers).toHaveLength(1);
});
