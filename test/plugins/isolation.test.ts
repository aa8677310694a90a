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
  expect(readdirSync(spool).filter((name) => name.startsWith('lazaret-spool-'))).toEqual([]);
  rmSync(spool, { recursive: true });
});

const open = (id: string, limits: Partial<IsolationLimits> = {}): Promise<Detector> =>
  openIn(fixture(id), limits);

async function openIn(directory: string, limits: Partial<IsolationLimits> = {}): Promise<Detector> {
  const plugin = isolatedPlugin(readPackage(directory), [spool], { ...LIMITS, ...limits });
  const detector = await plugin.setup(contextWith({}));
  opened.push(detector);
  expect(detector.problems).toEqual([]);
  return detector;
}

/** A package whose module is `head` and a detector with these members. */
function made(head: string, members: string): string {
  const directory = join(spool, 'lazaret-plugin-made');
  mkdirSync(directory);
  const lazaret = { kind: 'detector', api: 1, entry: 'index.js', id: 'made' };
  const described = { name: 'lazaret-plugin-made', version: '1.0.0', type: 'module', lazaret };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(described));
  const standard = '{ version: 1, vendor: "made", validate: (value) => ({ value }) }';
  const engine = '{ name: "made", version: "1", signatures: "1", signatureCount: 1 }';
  writeFileSync(
    join(directory, 'index.js'),
    `${head}
    export default {
      meta: { kind: 'detector', id: 'made', version: '1.0.0', description: '', api: 1 },
      options: { '~standard': ${standard} },
      requires: [],
      setup: () => ({ engine: ${engine}, problems: [], concurrency: 1, wants: () => true, close: async () => undefined, ${members} }),
    };`,
  );
  return directory;
}

const answering = (answer: string): string =>
  `async *detect(subjects) { for (const { id } of subjects) yield { subject: id, ${answer} }; }`;

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
    ['hang', { fileMs: 1_500 }, /did not answer within 1500 ms/],
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
    expect(error).toEqual(failure(/does not understand: answer\.detections\.0\.judgement/));
  });

  it.each([
    { type: 'done', call: 99 },
    { type: 'answer', call: 1, answer: { subject: 'somebody-else', detections: [] } },
  ])('babbles: what nobody asked for ends it, such as $type', async (message) => {
    const line = JSON.stringify(`${JSON.stringify(message)}\n`);
    const babbling = await openIn(
      made(
        'import { writeSync } from "node:fs";',
        // A pipe that is full for the moment is none of its worries.
        `async *detect() { for (;;) try { writeSync(1, ${line}); } catch {} }`,
      ),
    );
    const { answers, error } = await outcome(babbling, [spooled('file')]);
    expect(answers).toEqual([]);
    expect(error).toEqual(failure(/floods the host/));
  });

  it('says twice that it is ready: that is out of turn', async () => {
    const ready = JSON.stringify({ type: 'checked', issues: [] });
    const eager = await openIn(
      made(
        '',
        `async *detect() { process.stdout.write(${JSON.stringify(`${ready}\n`)}); await new Promise(() => {}); }`,
      ),
    );
    expect((await outcome(eager, [spooled('file')])).error).toEqual(failure(/out of turn/));
  });

  it('does not even start: that is a problem of the scan, and no subject is clean', async () => {
    const directory = made('throw new Error("not today");', '');
    const plugin = isolatedPlugin(readPackage(directory), [spool]);
    const detector = await plugin.setup(contextWith({}));
    opened.push(detector);
    expect(detector.problems).toEqual([{ file: directory, message: expect.stringContaining('not today') }]);
    expect(await outcome(detector, [spooled('file')])).toEqual({ answers: [], error: failure(/not today/) });
    // As soon as it starts, there is no problem any more.
    rmSync(directory, { recursive: true });
    made('', answering('detections: []'));
    expect((await outcome(detector, [spooled('file')])).answers).toHaveLength(1);
    expect(detector.problems).toEqual([]);
  });

  it('is another after it was started again: none of its answers counts', async () => {
    const members = (
      version: string,
    ) => `engine: { name: 'made', version: '${version}', signatures: '1', signatureCount: 1 },
      async *detect() { process.exit(5); }`;
    const directory = made('', members('1'));
    const detector = await openIn(directory);
    expect((await outcome(detector, [spooled('file')])).error).toEqual(failure(/exit 5/));
    rmSync(directory, { recursive: true });
    made('', members('2'));
    expect((await outcome(detector, [spooled('file')])).error).toEqual(failure(/another one than before/));
  });

  it('does not heed a cancelled call: it is ended in the time of one file', async () => {
    const detector = await openIn(
      made('', 'async *detect([{ id }]) { yield { subject: id, detections: [] }; for (;;); }'),
      { fileMs: 1_500 },
    );
    const abort = new AbortController();
    for await (const _ of detector.detect([spooled('one'), spooled('two')], abort.signal)) abort.abort();
    // This one was asked behind it, and is not answered either.
    expect((await outcome(detector, [spooled('three')])).error).toEqual(failure(/within 1500 ms/));
    expect((await outcome(detector, [spooled('four')])).answers).toHaveLength(1);
  });
});

describe('a plugin that means well', () => {
  it('says what a file starts, and that gets through', async () => {
    const starts = [{ path: '/tmp/x', technique: 'T1053.003', line: 1, shared: true }];
    const detector = await openIn(made('', answering(`detections: [], starts: ${JSON.stringify(starts)}`)));
    const file = spooled('crontab');
    expect((await outcome(detector, [file])).answers).toEqual([{ subject: file.id, detections: [], starts }]);
  });

  it('is asked no more at once than it takes, and in bounds', async () => {
    const directory = made(
      '',
      `concurrency: 2, reads: 'digests', digests: ['md5'], ${answering('detections: []')}`,
    );
    expect(await openIn(directory)).toMatchObject({ concurrency: 2, reads: 'digests', digests: ['md5'] });
    rmSync(directory, { recursive: true });
    expect((await openIn(made('', `concurrency: 64, ${answering('detections: []')}`))).concurrency).toBe(4);
  });

  it('has an engine that depends on its package, its options and its pack files', async () => {
    const directory = made('', answering('detections: []'));
    const engineWith = async (options: object, version = '1'): Promise<string> => {
      const file = {
        type: 'ioc',
        path: join(directory, 'index.js'),
        name: 'a',
        pack: 'v/p',
        version,
      } as const;
      const context = contextWith(options, [file]);
      const detector = await isolatedPlugin(readPackage(directory), [spool]).setup(context);
      opened.push(detector);
      return detector.engine.signatures;
    };
    const first = await engineWith({});
    expect(await engineWith({})).toBe(first);
    writeFileSync(join(directory, 'more.js'), '');
    const others = [first, await engineWith({}), await engineWith({ a: 1 }), await engineWith({}, '2')];
    expect(new Set(others).size).toBe(4);
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
    ...Object.fromEntries(
      ['kill', 'hiddenKill', 'debug', 'priority', 'flags', 'user', 'become', 'restored', 'database', 'native']
        // Each is simply not there.
        .map((way) => [way, 'TypeError']),
    ),
    environment: '',
  });
});

it('a plugin is told when its caller has left', async () => {
  const detector = await openIn(
    made(
      'let left = [];',
      `async *detect([{ id }], signal) {
        yield { subject: id, detections: left };
        await new Promise((resolve) => signal.addEventListener('abort', () => {
          left = [{ judgement: 'suspicious', name: 'left' }];
          resolve();
        }));
      }`,
    ),
  );
  const names: string[] = [];
  for (let time = 0; time < 2; time++) {
    for await (const answer of detector.detect([spooled('one'), spooled('two')], never)) {
      if ('detections' in answer) names.push(...answer.detections.map(({ name }) => name));
      break;
    }
  }
  expect(names).toEqual(['left']);
});

it('a cancelled call ends, and the next one is answered', async () => {
  const detector = await open('exit');
  const abort = new AbortController();
  const many = Array.from({ length: 50 }, (_, index) => spooled(`file-${index}`));
  for await (const _ of detector.detect(many, abort.signal)) abort.abort();
  expect((await outcome(detector, [spooled('good')])).answers).toHaveLength(1);
});
