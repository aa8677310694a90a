import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Checkup, Detector, Logger } from 'lazaret/plugin';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { contextWith, silent } from '../../../test/conformance/subjects.ts';
import { need } from '../../../test/need.ts';
import { type Engines, findEngines, MANY_RULES, openDetector } from './engines.ts';
import plugin from './index.ts';
import { readRuleFiles } from './rule-files.ts';

const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures', name);
const SETTINGS = { deadlineMs: 20_000, processes: 1, maxMatches: 1_000 };

let folder: string;
let engines: Engines;
const opened: Detector[] = [];
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'lazaret-yara-'));
  engines = await findEngines(2 ** 31, folder);
  const rules = Array.from({ length: MANY_RULES + 1 }, (_, at) => `rule r${at} { condition: false }`);
  writeFileSync(path.join(folder, 'many.yar'), rules.join('\n'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((detector) => detector.close()));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function auto(there: Partial<Engines>, rules: string, logger: Logger = silent): Promise<Detector> {
  const few = { native: undefined, program: undefined, wasm: engines.wasm, ...there };
  const detector = await openDetector('auto', few, await readRuleFiles([rules]), SETTINGS, logger);
  opened.push(detector);
  return detector;
}

async function look(given: Readonly<Record<string, unknown>>): Promise<readonly Checkup[]> {
  const result = await plugin.options['~standard'].validate(given);
  if (result.issues) throw new Error(JSON.stringify(result.issues));
  return (await plugin.checkup?.(contextWith(result.value))) ?? [];
}

const hasYara = need({ program: 'yarac', get: 'apt-get install yara' });
const hasNative = need({
  what: 'the native YARA engine',
  there: (await findEngines(2 ** 31, tmpdir())).native !== undefined,
  get: 'npm install --include=optional, on x64 Linux with glibc',
});

describe('the engine that auto takes', () => {
  it.runIf(hasNative)('is the native one where it is there', async () => {
    const { native, program } = engines;
    expect((await auto({ native, program }, fixture('rules'))).engine.version).toContain('@litko');
  });

  it.runIf(hasYara)('is else the program', async () => {
    const { program } = engines;
    expect((await auto({ program }, fixture('rules'))).engine.version).toMatch(/^yara 4/);
  });

  it.runIf(hasYara)('is the WebAssembly one where the program would leave rules out', async () => {
    const { program } = engines;
    for (const rules of [fixture('externals')]) {
      const { engine, problems } = await auto({ program }, rules);
      expect(engine.version).toContain('@virustotal');
      expect(problems).toEqual([]);
    }
  });

  it('is the WebAssembly one where there is no other, which is said when the rules are many', async () => {
    const said: string[] = [];
    const logger = { ...silent, warn: (message: string) => void said.push(message) };
    await auto({}, fixture('rules'), logger);
    expect(said).toEqual([]);
    await auto({}, path.join(folder, 'many.yar'), logger);
    expect(said).toEqual([expect.stringContaining(`${MANY_RULES + 1} YARA rules is slow`)]);
  });

  it('is not replaced by another when it was asked for by name', async () => {
    const none = { ...engines, native: undefined, program: undefined };
    const rules = await readRuleFiles([fixture('rules')]);
    for (const name of ['native', 'program'] as const) {
      const failing = openDetector(name, none, rules, SETTINGS, silent);
      await expect(failing).rejects.toMatchObject({ code: 'engine-unavailable' });
    }
  });
});

describe('the checkup', () => {
  it('names the engines that are there, the one that is taken, and the confinement', async () => {
    const [found, confined] = await look({});
    expect(found).toMatchObject({ status: 'ok', detail: expect.stringMatching(/wasm \(.*auto takes \w+$/) });
    expect(confined?.detail).toContain('engine processes run with');
  });

  it('warns of many rules where WebAssembly is the engine', async () => {
    const rules = [path.join(folder, 'many.yar')];
    expect((await look({ rules, engine: 'wasm' }))[0]).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining(`with ${MANY_RULES + 1} rules`),
    });
    expect((await look({ rules: [fixture('rules')], engine: 'wasm' }))[0]).toMatchObject({ status: 'ok' });
    expect((await look({ rules: [fixture('nowhere')], engine: 'wasm' }))[0]).toMatchObject({ status: 'ok' });
  });
});
