import { readdirSync } from 'node:fs';
import { mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { confinement, type Detection, type Detector, PluginError } from 'lazaret/plugin';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answersOf, fileSubject } from '../../../test/conformance/subjects.ts';
import { need } from '../../../test/need.ts';
import type { Engine } from './engine.ts';
import { nativeEngine } from './native-engine.ts';
import { programEngine } from './program-engine.ts';
import { readRuleFiles } from './rule-files.ts';
import { wasmEngine } from './wasm-engine.ts';
import { YaraDetector } from './yara-detector.ts';

const FIXTURES = path.join(import.meta.dirname, 'fixtures');
const fixture = (name: string): string => path.join(FIXTURES, name);
const sample = (name: string): string => path.join(FIXTURES, 'samples', name);
const SAMPLES = ['clean.txt', 'marked.txt', 'first.txt', 'second.txt', 'odd.txt', 'empty', 'broken.elf'];

const SETTINGS = { deadlineMs: 20_000, processes: 2, maxMatches: 1_000 };
const open = async (engine: Engine, rules: string[], settings = {}): Promise<Detector> =>
  YaraDetector.open(engine, await readRuleFiles(rules), { ...SETTINGS, ...settings });

const LIMITS = { confinement: await confinement(), memoryBytes: 2 ** 31 };
const native = nativeEngine(LIMITS);
need({
  what: 'the native YARA engine',
  there: native !== undefined,
  get: 'npm install --include=optional, on x64 Linux with glibc',
});
const cache = await mkdtemp(path.join(tmpdir(), 'lazaret-yara-cache-'));
afterAll(() => rm(cache, { recursive: true }));
const hasYara = need({ program: 'yarac', get: 'apt-get install yara' });
const program = hasYara ? await programEngine(LIMITS, cache) : undefined;
const ENGINES = [native, wasmEngine(), program].filter((engine) => engine !== undefined);

describe.each(ENGINES)('the $name engine', (engine) => {
  /** What the other engines do not promise is no test of theirs. */
  const onlyFor = (names: readonly string[]) => (title: string, test: () => Promise<void>) => {
    if (names.includes(engine.name)) it(title, test);
  };
  let detector: Detector;
  beforeAll(async () => {
    detector = await open(engine, [fixture('rules')]);
  });
  afterAll(() => detector.close());

  const detectionsOf = async (file: string): Promise<readonly Detection[]> => {
    const subject = fileSubject(file);
    const answer = (await answersOf(detector, [subject])).get(subject.id);
    if (answer === undefined || !('detections' in answer))
      throw new Error(`no detections: ${JSON.stringify(answer)}`);
    return answer.detections;
  };

  it('finds what a rule describes, and says so in the words of its metadata', async () => {
    expect(await detectionsOf(sample('marked.txt'))).toEqual([
      {
        judgement: 'malicious',
        name: 'marker',
        source: 'marker.yar',
        description: 'Finds the inert marker of these fixtures',
        attack: ['T1059.004', 'T1059'],
      },
    ]);
  });

  it('finds nothing in a clean file', async () => {
    expect(await detectionsOf(sample('clean.txt'))).toEqual([]);
  });

  it('scans an empty file', async () => {
    expect(await detectionsOf(sample('empty'))).toMatchObject([{ name: 'empty_file' }]);
  });

  it('scans a malformed file', async () => {
    expect(await detectionsOf(sample('broken.elf'))).toMatchObject([
      { name: 'broken_elf', source: 'elf.yara', description: 'An "ELF" that is none' },
    ]);
  });

  it('lets a global rule decide over its own file alone', async () => {
    expect(detector.problems).toEqual([]);
    const found = await Promise.all(SAMPLES.map((name) => detectionsOf(sample(name))));
    expect(found.flat().map(({ name }) => name)).not.toContain('never_in_small_files');
    expect(found.flat().map(({ name }) => name)).toContain('marker');
  });

  it('keeps rules of equal names in two files apart', async () => {
    const one = { name: 'same_name', source: path.join('clash', 'one.yar'), description: 'one' };
    const two = { name: 'same_name', source: path.join('clash', 'two.yar'), description: 'two' };
    expect(await detectionsOf(sample('first.txt'))).toMatchObject([one]);
    expect(await detectionsOf(sample('second.txt'))).toMatchObject([two]);
  });

  it('takes a rule at its word when it only suspects, and reports no private rule', async () => {
    const found = await detectionsOf(sample('odd.txt'));
    expect(found.map(({ name, judgement }) => [name, judgement]).sort()).toEqual([
      ['elf', 'malicious'],
      ['suspicious_text', 'suspicious'],
    ]);
  });

  it('answers a file that has vanished with the reason', async () => {
    const subject = fileSubject(sample('never-was'));
    expect((await answersOf(detector, [subject])).get(subject.id)).toMatchObject({ unscanned: 'vanished' });
    const folder = { ...fileSubject(sample('empty')), content: FIXTURES };
    expect((await answersOf(detector, [folder])).get(folder.id)).toMatchObject({ unscanned: 'not-regular' });
  });

  it('ends a rule that does not finish at the deadline, and goes on with the other files', async () => {
    const bounded = await open(engine, [fixture('runaway.yar')], { deadlineMs: 500, processes: 1 });
    try {
      const before = Array.from({ length: 5 }, () => fileSubject(sample('clean.txt')));
      const runaway = fileSubject(sample('runaway.txt'));
      const after = fileSubject(sample('marked.txt'));
      const answers = await answersOf(bounded, [...before, runaway, after]);
      expect(answers.get(runaway.id)).toMatchObject({ unscanned: 'deadline' });
      expect(answers.get(after.id)).toMatchObject({ detections: [{ name: 'benign_marker' }] });
      for (const { id } of before) expect(answers.get(id)).toEqual({ subject: id, detections: [] });
    } finally {
      await bounded.close();
    }
  });

  onlyFor(['native', 'program'])('ends a process that needs too much memory', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lazaret-yara-'));
    const hungry = fileSubject(sample('runaway.txt'));
    const content = path.join(folder, 'content');
    await writeFile(content, 'RUNA');
    await truncate(content, 160 * 1024 * 1024);
    const limits = { ...LIMITS, memoryBytes: 120 * 1024 * 1024 };
    const limited = engine.name === 'native' ? nativeEngine(limits) : await programEngine(limits, cache);
    if (limited === undefined) throw new Error('the engine is gone');
    const detector = await open(limited, [fixture('runaway.yar')], { processes: 1 });
    try {
      const marked = fileSubject(sample('marked.txt'));
      const answers = await answersOf(detector, [{ ...hungry, content }, marked]);
      expect(answers.get(hungry.id)).toMatchObject({
        unscanned: 'engine-failed',
        detail: expect.stringContaining('120 MiB of memory'),
      });
      expect(answers.get(marked.id)).toMatchObject({ detections: [{ name: 'benign_marker' }] });
    } finally {
      await detector.close();
      await rm(folder, { recursive: true });
    }
  });

  it('ends a scan that is aborted, without a verdict', async () => {
    const slow = await open(engine, [fixture('runaway.yar')], { processes: 1, deadlineMs: 5_000 });
    try {
      const abort = new AbortController();
      const first = fileSubject(sample('clean.txt'));
      const runaway = fileSubject(sample('runaway.txt'));
      const answers: unknown[] = [];
      for await (const answer of slow.detect([first, runaway], abort.signal)) {
        answers.push(answer);
        abort.abort();
      }
      expect(answers).toEqual([
        { subject: first.id, detections: [] },
        { subject: runaway.id, unscanned: 'cancelled' },
      ]);
    } finally {
      await slow.close();
    }
  });

  it('names each rule file that does not compile, with its line, and runs the others', async () => {
    const mixed = await open(engine, [fixture('faulty'), fixture('rules/marker.yar')]);
    try {
      const named = mixed.problems.map(({ file, line, message }) => [path.basename(file), line, message]);
      expect(named.sort()).toEqual([
        ['borrows.yar', 5, expect.stringMatching(/(unknown|undefined) identifier ["`]marker/)],
        ['external.yar', 4, expect.stringMatching(/(unknown|undefined) identifier ["`]registry_key/)],
        ['include.yar', engine.name === 'program' ? undefined : 2, expect.stringContaining('include is not')],
        [
          'syntax.yar',
          engine.name === 'program' ? 7 : 6,
          expect.stringMatching(/syntax error|unterminated string/),
        ],
      ]);
      const subject = fileSubject(sample('marked.txt'));
      expect((await answersOf(mixed, [subject])).get(subject.id)).toMatchObject({
        detections: [{ name: 'marker' }],
      });
      expect(mixed.engine.signatureCount).toBe(4);
    } finally {
      await mixed.close();
    }
  });

  it('refuses to start with no rule that compiles', async () => {
    const failing = open(engine, [fixture('faulty')]);
    await expect(failing).rejects.toBeInstanceOf(PluginError);
    await expect(failing).rejects.toMatchObject({ code: 'bad-signatures' });
  });

  onlyFor(['program'])('names rules with external variables, and leaves them out', async () => {
    const left = await open(engine, [fixture('externals'), fixture('rules')]);
    try {
      expect(left.problems).toMatchObject([
        { file: fixture('externals/names.yar'), message: expect.stringContaining('variable filename') },
      ]);
    } finally {
      await left.close();
    }
  });

  onlyFor(['native', 'wasm'])('defines external variables for each file', async () => {
    const named = await open(engine, [fixture('externals')]);
    const called = (file: string, path: string, uid = 1000) => {
      const subject = fileSubject(sample(file));
      return { ...subject, facts: { ...subject.facts, path, uid } };
    };
    try {
      const subjects = [
        called('clean.txt', '/srv/www/uploads/x.PHP'),
        called('clean.txt', '/srv/www/x.php'),
        called('broken.elf', '/usr/bin/x', 0),
        called('broken.elf', '/usr/bin/x'),
        called('clean.txt', '/2024'),
        called('clean.txt', '/tmp/true'),
        called('clean.txt', '/tmp/-7'),
        called('clean.txt', '/tmp/"'),
      ];
      const answers = await answersOf(named, subjects);
      const found = subjects.map(({ id }) => answers.get(id));
      const names = found.map((answer) =>
        answer && 'detections' in answer ? answer.detections.map(({ name }) => name) : answer,
      );
      expect(names).toEqual([
        ['script_in_uploads'],
        [],
        ['root_owns_a_program'],
        [],
        ['called_2024'],
        ['called_true'],
        [],
        [],
      ]);
    } finally {
      await named.close();
    }
  });

  it('does not want what is of no size that a rule could match', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lazaret-yara-'));
    await writeFile(path.join(folder, 'small.yar'), 'rule s { condition: filesize < 1KB and uint8(0) == 1 }');
    const small = await open(engine, [folder]);
    try {
      const { facts } = fileSubject(sample('clean.txt'));
      expect(small.wants({ kind: 'file', facts: { ...facts, size: 1023 } })).toBe(true);
      expect(small.wants({ kind: 'file', facts: { ...facts, size: 1024 } })).toBe(false);
      expect(small.wants({ kind: 'process' })).toBe(false);
    } finally {
      await small.close();
      await rm(folder, { recursive: true });
    }
  });

  onlyFor(['native', 'wasm'])('looks for no more matches of a pattern than it may', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lazaret-yara-'));
    await writeFile(path.join(folder, 'many.yar'), 'rule many { strings: $a = "abc" condition: #a == 7 }');
    await writeFile(path.join(folder, 'content'), 'abc'.repeat(5_000));
    const bounded = await open(engine, [folder], { maxMatches: 7 });
    try {
      const subject = fileSubject(path.join(folder, 'content'));
      expect((await answersOf(bounded, [subject])).get(subject.id)).toMatchObject({
        detections: [{ name: 'many' }],
      });
    } finally {
      await bounded.close();
      await rm(folder, { recursive: true });
    }
  });
});

it('all engines say the same of the same files', async () => {
  const rules = [fixture('rules'), fixture('constructs'), fixture('faulty')];
  const sources = readdirSync(import.meta.dirname).filter((name) => /\.(ts|md)$/.test(name));
  const files = [...sources.map((name) => path.join(import.meta.dirname, name)), '/bin/sh', '/bin/true'];
  const subjects = [...SAMPLES.map(sample), ...files].map(fileSubject);
  const said: unknown[] = [];
  for (const engine of ENGINES) {
    const detector = await open(engine, rules);
    const answers = await answersOf(detector, subjects);
    await detector.close();
    said.push({
      problems: detector.problems.map(({ file }) => file).sort(),
      signatures: detector.engine.signatures,
      answers: subjects.map(({ id, content }) => {
        const answer = answers.get(id);
        if (answer === undefined || !('detections' in answer)) return [content, answer];
        return [content, answer.detections.map((detection) => JSON.stringify(detection)).sort()];
      }),
    });
  }
  for (const other of said.slice(1)) expect(other).toEqual(said[0]);
  const text = JSON.stringify(said[0]);
  const matched = new Set(Array.from(text.matchAll(/name\\":\\"(\w+)/g), ([, name]) => name));
  expect([...matched].sort()).toEqual(
    expect.arrayContaining(['elf_exec', 'entropy', 'hashed', 'hexjump', 'm']),
  );
  expect(matched).toContain('same_name');
});

describe('the rules that are named', () => {
  it('are refused when they are not there', async () => {
    await expect(readRuleFiles([fixture('nowhere')])).rejects.toMatchObject({ code: 'bad-signatures' });
  });

  it('are read once, whatever leads to them, and without a byte order mark', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lazaret-yara-'));
    await writeFile(path.join(folder, 'a.yar'), '\ufeffrule a { condition: true }');
    await writeFile(path.join(folder, 'b.yara'), Buffer.from([0x2f, 0x2f, 0xff]));
    await writeFile(path.join(folder, 'c.txt'), 'no rule file');
    const { files, problems } = await readRuleFiles([folder, path.join(folder, 'a.yar')]);
    expect(files.map(({ name, text }) => [name, text])).toEqual([['a.yar', 'rule a { condition: true }']]);
    expect(problems).toEqual([
      { file: path.join(folder, 'b.yara'), message: expect.stringContaining('UTF-8') },
    ]);
    await rm(folder, { recursive: true });
  });

  it('are scanned with although links among them are broken or go round, which is told', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lazaret-yara-'));
    await writeFile(path.join(folder, 'a.yar'), 'rule a { condition: true }');
    await symlink('nowhere', path.join(folder, 'b.yar'));
    await symlink('.', path.join(folder, 'self'));
    const { files, problems } = await readRuleFiles([folder, path.join(folder, 'self')]);
    expect(files.map(({ name }) => name)).toEqual(['a.yar']);
    expect(problems.map(({ file }) => path.basename(file))).toEqual(
      expect.arrayContaining(['b.yar', 'self']),
    );
    await rm(folder, { recursive: true });
  });

  it('are not waited for where one is a device or a FIFO', async () => {
    await expect(readRuleFiles(['/dev/zero'])).rejects.toMatchObject({ code: 'bad-signatures' });
  });

  it('are given up when the host shuts down', async () => {
    const reason = new Error('interrupted');
    await expect(readRuleFiles([fixture('rules')], [], AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
