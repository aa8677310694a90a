/** The pack that comes with Lazaret, held to what is asked of every vendor's. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import yara from '../../plugins/detectors/yara/index.ts';
import { silent } from '../../test/conformance/subjects.ts';
import type { Detector } from '../api/index.ts';
import { buildPack } from './build.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import { readStarter, STARTER } from './starter.ts';
import { KNOWN_GOOD, tryPack } from './trial.ts';

const { signal } = new AbortController();
const manifest = (): Manifest => parseManifest(readFileSync(join(STARTER, 'pack.json')));

let directory: string;
let detector: Detector;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-starter-'));
  const options = yara.options['~standard'].validate({ processes: 1 });
  const checked = await options;
  if (checked.issues) throw new Error('the options are wrong');
  const { files: signatures } = await readStarter();
  detector = await yara.setup({
    options: checked.value,
    logger: silent,
    signatures,
    cache: directory,
    signal,
  });
});
afterEach(async () => {
  await detector.close();
  rmSync(directory, { recursive: true });
});

it('compiles, holds its own tests, and finds nothing in what is known to be good', async () => {
  const candidate = { manifest: manifest(), place: STARTER, scratch: directory };
  await tryPack(candidate, [detector], KNOWN_GOOD, signal);
  expect(readdirSync(directory)).toEqual([]);
});

it('has, for each rule, a sample that it finds', () => {
  const rules = readdirSync(join(STARTER, 'rules')).flatMap((name) => [
    ...readFileSync(join(STARTER, 'rules', name), 'utf8').matchAll(/^rule (\w+)/gm),
  ]);
  const tested = manifest().tests.map(({ signature }) => signature);
  expect(rules.length).toBeGreaterThan(8);
  for (const [, rule] of rules) expect(tested).toContain(rule);
  expect(manifest().tests.filter(({ expect }) => expect === 'clean').length).toBeGreaterThan(8);
});

it('is not found by itself, neither rules nor samples', async () => {
  const places = manifest().files.map(({ path }) => join(STARTER, path));
  await tryPack(
    { manifest: { ...manifest(), tests: [] }, place: STARTER, scratch: directory },
    [detector],
    [...places, join(STARTER, 'pack.json')],
    signal,
  );
});

it('fails its trial when a sample is not found, or is not base64', async () => {
  const copy = join(directory, 'copy');
  cpSync(STARTER, copy, { recursive: true });
  const candidate = { manifest: manifest(), place: copy, scratch: directory };
  const sample = join(copy, 'samples/found/eicar.b64');
  for (const text of [Buffer.from('nothing').toString('base64'), '%%%']) {
    writeFileSync(sample, text);
    await expect(tryPack(candidate, [detector], [], signal)).rejects.toMatchObject({ code: 'test-failed' });
  }
});

it('is as pack build leaves it, and is told of when it is damaged', async () => {
  const copy = join(directory, 'copy');
  cpSync(STARTER, copy, { recursive: true });
  expect(await buildPack({ directory: copy })).toMatchObject({ updated: false });
  expect(await readStarter(copy)).toMatchObject({ record: { id: 'starter' }, problems: [] });
  writeFileSync(join(copy, 'rules/test-file.yar'), 'rule Nothing { condition: false }');
  expect(await readStarter(copy)).toMatchObject({
    files: [],
    problems: [{ message: /damaged and not in use/ }],
  });
});
