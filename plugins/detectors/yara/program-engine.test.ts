import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { confinement, type Detector } from 'lazaret/plugin';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answersOf, fileSubject } from '../../../test/conformance/subjects.ts';
import { need } from '../../../test/need.ts';
import { programEngine } from './program-engine.ts';
import { readRuleFiles } from './rule-files.ts';
import { YaraDetector } from './yara-detector.ts';

const fixture = (...names: string[]): string => path.join(import.meta.dirname, 'fixtures', ...names);
const sample = (name: string): string => fixture('samples', name);

let cache: string;
const opened: Detector[] = [];
beforeEach(() => {
  cache = mkdtempSync(path.join(tmpdir(), 'lazaret-yara-cache-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((detector) => detector.close()));
  rmSync(cache, { recursive: true });
});

async function open(rules: string[], deadlineMs = 20_000): Promise<Detector> {
  const engine = await programEngine({ confinement: await confinement(), memoryBytes: 2 ** 31 }, cache);
  if (engine === undefined) throw new Error('there is no yara');
  const settings = { deadlineMs, processes: 1, maxMatches: 1_000 };
  const detector = await YaraDetector.open(engine, await readRuleFiles(rules), settings);
  opened.push(detector);
  return detector;
}

const compiled = (): string[] => readdirSync(cache).filter((name) => name.endsWith('.yarc'));

async function namesFor(detector: Detector, file: string): Promise<unknown> {
  const subject = fileSubject(file);
  const answer = (await answersOf(detector, [subject])).get(subject.id);
  return answer && 'detections' in answer ? answer.detections.map(({ name }) => name) : answer;
}

describe.runIf(need({ program: 'yarac', get: 'apt-get install yara' }))('the yara program', () => {
  it('compiles equal rules once, for its own eyes', async () => {
    await open([fixture('rules')]);
    const [first = ''] = compiled();
    expect(statSync(path.join(cache, first)).mode & 0o777).toBe(0o600);
    const again = await open([fixture('rules')]);
    expect(compiled()).toEqual([first]);
    expect(await namesFor(again, sample('marked.txt'))).toEqual(['marker']);
    await open([fixture('rules', 'marker.yar')]);
    expect(compiled()).toHaveLength(2);
  });

  it('removes what nobody has used for a while', async () => {
    const old = path.join(cache, 'old.yarc');
    const recent = path.join(cache, 'recent.yarc');
    for (const file of [old, recent]) writeFileSync(file, '');
    utimesSync(old, 0, 0);
    await open([fixture('rules')]);
    expect(compiled()).not.toContain('old.yarc');
    expect(compiled()).toContain('recent.yarc');
  });

  it('makes compiled rules again that are gone or damaged', async () => {
    const detector = await open([fixture('rules')]);
    expect(await namesFor(detector, sample('marked.txt'))).toEqual(['marker']);
    const [kept = ''] = compiled();
    writeFileSync(path.join(cache, kept), 'damaged');
    expect(await namesFor(detector, sample('marked.txt'))).toEqual(['marker']);
    rmSync(cache, { recursive: true });
    expect(await namesFor(detector, sample('clean.txt'))).toEqual([]);
  });

  it('gives up, and says why, when it cannot be started', async () => {
    const detector = await open([fixture('rules')]);
    for (const name of readdirSync(cache)) rmSync(path.join(cache, name), { recursive: true });
    rmSync(cache, { recursive: true });
    writeFileSync(cache, 'no directory');
    await expect(namesFor(detector, sample('clean.txt'))).rejects.toMatchObject({ code: 'engine-failed' });
  });

  it('tries a file alone that ran out of time behind others, and answers for all', async () => {
    const detector = await open([fixture('runaway.yar')], 1_000);
    const files = ['clean.txt', 'runaway.txt', 'marked.txt', 'runaway.txt', 'first.txt'];
    const subjects = files.map((name) => fileSubject(sample(name)));
    const answers = await answersOf(detector, subjects);
    const told = subjects.map(({ id }) => answers.get(id));
    expect(told).toMatchObject([
      { detections: [] },
      { unscanned: 'deadline' },
      { detections: [{ name: 'benign_marker' }] },
      { unscanned: 'deadline' },
      { detections: [] },
    ]);
  });

  it('scans a file whose name looks like what yara prints, and refuses one that no list can hold', async () => {
    const detector = await open([fixture('rules')]);
    const odd = path.join(cache, 'f00d.end:scanned [] " %s');
    const broken = path.join(cache, 'two\nlines');
    for (const file of [odd, broken]) writeFileSync(file, 'LAZARET-INERT-MARKER');
    expect(await namesFor(detector, odd)).toEqual(['marker']);
    expect(await namesFor(detector, broken)).toMatchObject({ unscanned: 'engine-failed' });
  });

  it('names the right rules of the right files, whichever of them a file is scanned with', async () => {
    const rules = path.join(cache, 'rules');
    mkdirSync(rules);
    const guarded = (name: string, guard: string): void => {
      const source = Array.from(
        { length: 32 },
        (_, at) => `rule n${at} { condition: ${guard} and ${at} == 3 }`,
      );
      writeFileSync(path.join(rules, `${name}.yar`), source.join('\n'));
    };
    guarded('a-elf', 'uint32be(0) == 0x7f454c46');
    guarded('b-script', 'uint16be(0) == 0x2321');
    const elf = sample('broken.elf');
    const script = path.join(cache, 'script');
    writeFileSync(script, '#!/bin/sh');
    const subjects = [elf, script, sample('clean.txt'), sample('never-was')].map(fileSubject);
    const find = async (): Promise<unknown[]> => {
      const answers = await answersOf(await open([rules]), subjects);
      return subjects.map(({ id }) => answers.get(id));
    };
    const found = (...sources: string[]) => ({
      detections: sources.map((source) => ({ name: 'n3', source })),
    });
    const vanished = { unscanned: 'vanished' };
    expect(await find()).toMatchObject([found('a-elf.yar'), found('b-script.yar'), found(), vanished]);
    writeFileSync(path.join(rules, 'c-any.yar'), 'rule n3 { condition: true }');
    expect(await find()).toMatchObject([
      found('a-elf.yar', 'c-any.yar'),
      found('b-script.yar', 'c-any.yar'),
      found('c-any.yar'),
      vanished,
    ]);
  });

  it('is not fooled by what a rule prints', async () => {
    const rules = path.join(cache, 'printing.yar');
    writeFileSync(
      rules,
      String.raw`import "console" rule p { condition: console.log("0.end:scanned [] /x\n") and false }`,
    );
    const detector = await open([rules]);
    expect(await namesFor(detector, sample('clean.txt'))).toEqual([]);
    expect(await namesFor(detector, sample('never-was'))).toMatchObject({ unscanned: 'vanished' });
  });

  it.runIf(process.getuid?.() === 0)('reads what only its starter may read', async () => {
    const detector = await open([fixture('rules')]);
    const secret = path.join(cache, 'secret');
    writeFileSync(secret, 'LAZARET-INERT-MARKER');
    chmodSync(secret, 0o600);
    expect(await namesFor(detector, secret)).toEqual(['marker']);
  });
});
