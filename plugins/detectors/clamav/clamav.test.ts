import { readdirSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Answer, Detector, SignatureFile } from 'lazaret/plugin';
import { afterEach, describe, expect, it } from 'vitest';
import { hasClamd, TEST_FILES, TestClamd } from '../../../test/clamd.ts';
import { setUp } from '../../../test/conformance/set-up.ts';
import { answersOf, contextWith, fileSubject } from '../../../test/conformance/subjects.ts';
import plugin from './index.ts';
import { nestedArchive } from './nested-archive.ts';

const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures', name);
const MARKER = `Test.Marker:0:*:${Buffer.from('lazaret-inert-clamav-marker').toString('hex')}\n`;

const opened: Detector[] = [];
const started: TestClamd[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const detector of opened.splice(0)) await detector.close();
  for (const clamd of started.splice(0)) await clamd[Symbol.asyncDispose]();
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

async function start(...setting: Parameters<typeof TestClamd.start>): Promise<TestClamd> {
  const clamd = await TestClamd.start(...setting);
  started.push(clamd);
  return clamd;
}

async function open(clamd: TestClamd, given: Readonly<Record<string, unknown>> = {}): Promise<Detector> {
  const detector = await setUp(plugin, { socket: clamd.socket, config: clamd.configFile, ...given });
  opened.push(detector);
  return detector;
}

async function openWith(
  clamd: TestClamd,
  signatures: readonly SignatureFile[],
  given: Readonly<Record<string, unknown>> = {},
): Promise<Detector> {
  const options = await plugin.options['~standard'].validate({
    socket: clamd.socket,
    config: clamd.configFile,
    databaseDirectory: clamd.databases,
    ...given,
  });
  if (options.issues) throw new Error(JSON.stringify(options.issues));
  const detector = await plugin.setup(contextWith(options.value, signatures));
  opened.push(detector);
  return detector;
}

async function scratch(): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'lazaret-clamav-test-'));
  directories.push(directory);
  return directory;
}

async function answerFor(detector: Detector, file: string): Promise<Answer | undefined> {
  const subject = fileSubject(file);
  return (await answersOf(detector, [subject])).get(subject.id);
}

describe.runIf(hasClamd())('with clamd', () => {
  // By path a clamd of another user cannot read a private copy, so that all of it is sent.
  it.each(['where they lie', 'sent'])('finds all test files, %s', async (how) => {
    const clamd = await start();
    const detector = await open(clamd);
    const directory = how === 'sent' ? await scratch() : TEST_FILES;
    const names = readdirSync(TEST_FILES);
    if (how === 'sent')
      for (const name of names) await copyFile(clamd.sample(name), path.join(directory, name));
    const subjects = names.map((name) => fileSubject(path.join(directory, name)));
    const answers = await answersOf(detector, subjects);
    expect(subjects).toHaveLength(44);
    for (const { id, content } of subjects) {
      expect([content, answers.get(id)]).toMatchObject([
        content,
        {
          detections: [
            {
              judgement: 'malicious',
              name: 'ClamAV-Test-File',
              source: 'an unofficial database',
              description: expect.stringMatching(/^Found by ClamAV \d+\.\d+/),
            },
          ],
        },
      ]);
    }
  });

  it('finds by patterns and by rules, with the names that tell of suspicion', async () => {
    const clamd = await start({
      databases: {
        'a.ndb': `PUA.Marker:0:*:${Buffer.from('first-marker').toString('hex')}\n`,
        'b.yar': 'rule r { strings: $a = "second-marker" condition: $a }',
      },
    });
    const directory = await scratch();
    await writeFile(path.join(directory, 'first'), 'a first-marker');
    await writeFile(path.join(directory, 'second'), 'a second-marker');
    const detector = await open(clamd);
    expect(await answerFor(detector, path.join(directory, 'first'))).toMatchObject({
      detections: [{ judgement: 'suspicious', name: 'PUA.Marker' }],
    });
    expect(await answerFor(detector, path.join(directory, 'second'))).toMatchObject({
      detections: [{ judgement: 'malicious', name: 'YARA.r' }],
    });
  });

  it('finds nothing in what is clean, empty or broken', async () => {
    const detector = await open(await start());
    for (const name of ['clean.txt', 'empty', 'broken.zip']) {
      expect(await answerFor(detector, fixture(name))).toMatchObject({ detections: [] });
    }
  });

  it('takes nothing for clean that exceeds a limit', async () => {
    const detector = await open(await start({ config: { MaxFileSize: '1M', MaxScanSize: '2M' } }));
    const directory = await scratch();
    const [nested, large] = [path.join(directory, 'nested.zip'), path.join(directory, 'large')];
    await writeFile(nested, nestedArchive());
    await writeFile(large, Buffer.alloc(1024 * 1024 + 1, 'x'));
    expect(await answerFor(detector, nested)).toMatchObject({
      unscanned: 'engine-limit',
      detail: expect.stringContaining('MaxRecursion'),
    });
    expect(await answerFor(detector, large)).toMatchObject({ unscanned: 'engine-limit' });
    const trusting = await open(await start({ config: { MaxFileSize: '1M' } }), { maxFileBytes: 2 ** 30 });
    expect(await answerFor(trusting, large)).toMatchObject({
      unscanned: 'engine-limit',
      detail: expect.stringContaining('MaxFileSize'),
    });
  });

  it('takes nothing for clean when clamd keeps its limits to itself, and still finds', async () => {
    const clamd = await start({ config: { AlertExceedsMax: 'no' } });
    const detector = await open(clamd);
    expect(detector.problems).toEqual([
      { file: clamd.socket, message: expect.stringContaining('AlertExceedsMax yes') },
    ]);
    expect(await answerFor(detector, fixture('clean.txt'))).toMatchObject({ unscanned: 'engine-limit' });
    expect(await answerFor(detector, clamd.sample('clam.zip'))).toMatchObject({
      detections: [{ name: 'ClamAV-Test-File' }],
    });
  });

  it('tells a content that is too long for a stream from a clean one', async () => {
    const detector = await open(await start({ config: { StreamMaxLength: '1M' } }), {
      maxFileBytes: 2 ** 30,
    });
    const file = path.join(await scratch(), 'long');
    await writeFile(file, Buffer.alloc(8 * 1024 * 1024, 'x'));
    expect(await answerFor(detector, file)).toHaveProperty('unscanned');
    expect(await answerFor(detector, fixture('clean.txt'))).toMatchObject({ detections: [] });
  });
});

describe.runIf(hasClamd())('what answers depend on', () => {
  it('changes with what clamd has loaded, and not with its restart', async () => {
    const clamd = await start();
    const first = await openWith(clamd, []);
    expect(first.problems).toEqual([]);
    const { signatures } = first.engine;
    expect(signatures).not.toContain('uncertain');
    expect(first.engine.signatureCount).toBe(2);
    await clamd.kill();
    await clamd.launch();
    expect((await openWith(clamd, [])).engine.signatures).toBe(signatures);
    await writeFile(path.join(clamd.databases, 'more.ndb'), MARKER);
    const later = await openWith(clamd, []);
    expect(later.engine.signatures).not.toBe(signatures);
    expect(await answerFor(later, fixture('marked.txt'))).toMatchObject({
      detections: [{ name: 'Test.Marker' }],
    });
  });

  it('is another one each time as long as clamd may not have loaded what lies there', async () => {
    const clamd = await start();
    const [one, other] = [await open(clamd), await open(clamd)];
    expect(one.engine.signatures).toContain('uncertain');
    expect(one.engine.signatures).not.toBe(other.engine.signatures);
  });
});

describe.runIf(hasClamd())('files of packs', () => {
  const signatureFile = async (name: string, text: string): Promise<SignatureFile> => {
    const file = path.join(await scratch(), name);
    await writeFile(file, text);
    return { type: 'clamav', path: file, name, pack: 'vendor/pack', version: '1' };
  };
  const placed = (clamd: TestClamd) =>
    readdirSync(clamd.databases).filter((name) => /^lazaret-[0-9a-f]{32}/.test(name));

  it('are in use once the plugin is set up, and gone with the pack', async () => {
    const clamd = await start();
    const marker = await signatureFile('marker.ndb', MARKER);
    const detector = await openWith(clamd, [marker]);
    expect(detector.problems).toEqual([]);
    expect(await answerFor(detector, fixture('marked.txt'))).toMatchObject({
      detections: [{ name: 'Test.Marker' }],
    });
    expect(placed(clamd)).toHaveLength(1);
    const without = await openWith(clamd, []);
    expect(placed(clamd)).toHaveLength(1);
    await detector.close();
    expect(placed(clamd)).toEqual([]);
    expect(without.problems).toEqual([]);
    const again = await openWith(clamd, []);
    expect(await answerFor(again, fixture('marked.txt'))).toMatchObject({ detections: [] });
  });

  it('are taken out again when clamd does not load them', async () => {
    const clamd = await start();
    const faulty = await signatureFile('faulty.hdb', 'nonsense\n');
    await expect(openWith(clamd, [faulty], { loadSeconds: 2 })).rejects.toMatchObject({
      code: 'bad-signatures',
    });
    expect(placed(clamd)).toEqual([]);
    await clamd.kill();
    await clamd.launch();
    expect(await answerFor(await openWith(clamd, []), clamd.sample('clam.exe'))).toMatchObject({
      detections: [{ name: 'ClamAV-Test-File' }],
    });
  });

  it('that would switch signatures off are not placed', async () => {
    const clamd = await start();
    const detector = await openWith(clamd, [await signatureFile('quiet.ign2', 'ClamAV-Test-File\n')]);
    expect(detector.problems).toMatchObject([{ file: 'vendor/pack/quiet.ign2' }]);
    expect(await answerFor(detector, clamd.sample('clam.exe'))).toMatchObject({
      detections: [{ name: 'ClamAV-Test-File' }],
    });
  });

  it('are reported as not in use when there is nowhere to place them', async () => {
    const clamd = await start();
    const options = await plugin.options['~standard'].validate({ socket: clamd.socket });
    if (options.issues) throw new Error('refused');
    const detector = await plugin.setup(
      contextWith(options.value, [await signatureFile('marker.ndb', MARKER)]),
    );
    opened.push(detector);
    expect(detector.problems).toMatchObject([{ message: expect.stringContaining('databaseDirectory') }]);
    expect(await answerFor(detector, fixture('marked.txt'))).toMatchObject({ detections: [] });
  });
});
