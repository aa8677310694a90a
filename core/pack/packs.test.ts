/** Packs that real minisign signed, set up with the real detectors. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import hashset from '../../plugins/detectors/hashset/index.ts';
import yara from '../../plugins/detectors/yara/index.ts';
import { need } from '../../test/need.ts';
import type { AnyPlugin } from '../api/index.ts';
import { PluginRegistry } from '../plugin/registry.ts';
import { StateDatabase } from '../store/database.ts';
import { PackStore } from '../store/packs.ts';
import { buildPack } from './build.ts';
import { packArchive, readArchive, readContent } from './content.ts';
import { parseSecretKey } from './minisign.ts';
import { Packs } from './packs.ts';
import { PackShelf } from './shelf.ts';
import { KNOWN_GOOD } from './trial.ts';
import { readSigned, verifyPack } from './verify.ts';

const { signal } = new AbortController();
const YEAR = 365 * 24 * 3600 * 1000;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };

const signed = it.runIf(need({ program: 'minisign', get: 'apt-get install minisign' }));

let directory: string;
let database: StateDatabase;
let plugins: PluginRegistry;
let now: number;

interface Keys {
  readonly secret: string;
  readonly trusted: string;
}

function makeKeys(name: string): Keys {
  const secret = join(directory, `${name}.key`);
  const file = join(directory, `${name}.pub`);
  execFileSync('minisign', ['-G', '-W', '-f', '-p', file, '-s', secret], { stdio: 'ignore' });
  return { secret, trusted: readFileSync(file, 'utf8').split('\n')[1] ?? '' };
}

const RULE = 'rule Marker { strings: $a = "lazaret-pack-marker" condition: $a }';

/** A source directory of a pack; `files` replaces or adds some by path. */
function source(serial: number, files: Record<string, string> = {}, more: object = {}): string {
  const at = mkdtempSync(join(directory, 'source-'));
  const all: Record<string, string> = {
    'rules/marker.yar': RULE,
    'samples/found.txt': 'x lazaret-pack-marker x',
    'samples/clean.txt': 'nothing',
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  const manifest = {
    schema: 1,
    vendor: 'acme',
    id: 'rules',
    version: `1.${serial}`,
    serial,
    created: new Date(now).toISOString(),
    expires: new Date(now + YEAR).toISOString(),
    licence: 'MIT',
    api: { minimum: 1, maximum: 1 },
    files: Object.keys(all).map((path) => ({
      path,
      type: path.endsWith('.yar') ? 'yara' : path.startsWith('samples/') ? 'sample' : 'text',
    })),
    tests: [
      { sample: 'samples/found.txt', expect: 'detected', signature: 'Marker' },
      { sample: 'samples/clean.txt', expect: 'clean' },
    ],
    ...more,
  };
  writeFileSync(join(at, 'pack.json'), JSON.stringify(manifest));
  return at;
}

async function built(from: string, { secret }: Keys): Promise<string> {
  await buildPack({
    directory: from,
    key: parseSecretKey(readFileSync(secret, 'utf8')),
    output: `${from}.tar.zst`,
  });
  return `${from}.tar.zst`;
}

const packsWith = (keys: Keys, knownGood: readonly string[] = ['/bin/sh']): Packs =>
  new Packs({
    shelf: new PackShelf(join(directory, 'state', 'packs'), [{ vendor: 'acme', key: keys.trusted }]),
    store: new PackStore(database),
    plugins,
    trusted: [{ vendor: 'acme', key: keys.trusted }],
    knownGood,
    builtIn: { files: [], problems: [] },
    clock: () => now,
  });

const verified = async (path: string, { trusted: key }: Keys) =>
  readSigned(path, [{ vendor: 'acme', key }], now);

const active = (): string | undefined => new PackStore(database).find('acme', 'rules')?.active.version;
const signatures = (): string => plugins.detectors.map(({ instance }) => instance.engine.signatures).join();

beforeEach(async () => {
  now = Date.now();
  directory = mkdtempSync(join(tmpdir(), 'lazaret-packs-'));
  database = StateDatabase.open(join(directory, 'state'));
  const context = { logger: silent, cache: join(directory, 'cache'), signal };
  plugins = await PluginRegistry.open([yara, hashset] as AnyPlugin[], {}, context);
});
afterEach(async () => {
  await plugins.close();
  database.close();
  rmSync(directory, { recursive: true });
});

signed('installs what minisign signed, uses it, and goes back', async () => {
  const keys = makeKeys('acme');
  const packs = packsWith(keys);
  const first = source(1);
  await buildPack({ directory: first });
  execFileSync('minisign', ['-S', '-s', keys.secret, '-m', join(first, 'pack.json')], { stdio: 'ignore' });
  await packs.install(first, signal);
  expect(plugins.detectors.map(({ id }) => id)).toEqual(['yara']);
  const old = signatures();
  const second = await built(source(2, { 'rules/more.yar': 'rule More { condition: false }' }), keys);
  await packs.install(second, signal);
  expect([active(), signatures() === old]).toEqual(['1.2', false]);
  await packs.rollback('acme', 'rules', signal);
  expect([active(), signatures()]).toEqual(['1.1', old]);
  // What was gone back from may be installed again; what is older than it may not.
  await packs.install(second, signal);
  expect(active()).toBe('1.2');
  await expect(packs.install(first, signal)).rejects.toMatchObject({ code: 'serial-went-back' });
});

signed('signs so that minisign finds it good', async () => {
  const keys = makeKeys('acme');
  const from = source(1);
  await built(from, keys);
  const told = execFileSync('minisign', ['-V', '-P', keys.trusted, '-m', join(from, 'pack.json')]);
  expect(told.toString()).toContain('acme/rules 1.1, serial 1');
  expect((await verified(from, keys)).trustedComment).toBe('acme/rules 1.1, serial 1');
  execFileSync('minisign', ['-S', '-l', '-s', keys.secret, '-m', join(from, 'pack.json')], {
    stdio: 'ignore',
  });
  expect((await verified(from, keys)).manifest.serial).toBe(1);
});

signed('makes the same archive of the same files', async () => {
  const from = source(1);
  const archive = await built(from, makeKeys('acme'));
  const bytes = readFileSync(archive);
  expect((await packArchive(await readContent(from))).equals(bytes)).toBe(true);
  expect(await readArchive(Readable.from([bytes]))).toEqual(await readContent(from));
});

signed('keeps the old pack when a new one is refused, and says why', async () => {
  const keys = makeKeys('acme');
  const others = makeKeys('other');
  const packs = packsWith(keys);
  await packs.install(await built(source(5), keys), signal);
  const held = signatures();
  const sources: [string, string, Keys?][] = [
    ['serial-went-back', source(4)],
    ['untrusted-key', source(6), others],
    ['untrusted-key', source(6, {}, { vendor: 'other' })],
    ['expired', source(6, {}, { expires: new Date(now - 1000).toISOString() })],
    ['bad-signatures', source(6, { 'rules/bad.yar': 'rule Bad { condition: nothing }' })],
    ['test-failed', source(6, { 'samples/found.txt': 'nothing' })],
    ['test-failed', source(6, { 'samples/clean.txt': 'lazaret-pack-marker' })],
    ['flags-known-good', source(6, { 'rules/elf.yar': 'rule Elf { condition: uint32(0) == 0x464c457f }' })],
  ];
  for (const [code, from, by = keys] of sources) {
    const installing = packs.install(await built(from, by), signal);
    await expect(installing, code).rejects.toMatchObject({ name: 'PackError', code });
    expect([active(), signatures()]).toEqual(['1.5', held]);
  }
});

signed('refuses what was changed after it was signed, byte by byte region', async () => {
  const keys = makeKeys('acme');
  const good = source(1);
  await built(good, keys);
  const changed = (change: (at: string) => void): string => {
    const at = mkdtempSync(join(directory, 'changed-'));
    cpSync(good, at, { recursive: true });
    change(at);
    return at;
  };
  const edit = (path: string, from: RegExp, to: string) => (at: string) => {
    const text = readFileSync(join(at, path), 'utf8');
    expect(text).toMatch(from);
    writeFileSync(join(at, path), text.replace(from, to));
  };
  const cases: [string, string][] = [
    ['bad-signature', changed(edit('pack.json', /"serial": 1/, '"serial": 2'))],
    ['bad-signature', changed(edit('pack.json.minisig', /serial 1/, 'serial 2'))],
    ['wrong-hash', changed(edit('rules/marker.yar', /Marker/, 'Parker'))],
    ['missing-file', changed((at) => rmSync(join(at, 'rules/marker.yar')))],
    ['extra-file', changed((at) => writeFileSync(join(at, 'more.yar'), RULE))],
    ['unsigned', changed((at) => rmSync(join(at, 'pack.json.minisig')))],
    ['malformed', changed((at) => symlinkSync('/etc/passwd', join(at, 'link')))],
    ['not-found', join(directory, 'nowhere')],
  ];
  for (const [code, path] of cases) {
    await expect(verified(path, keys), code).rejects.toMatchObject({ code });
  }
  const lines = readFileSync(join(good, 'pack.json.minisig'), 'utf8').split('\n');
  for (const line of [1, 3]) {
    for (const at of [0, 3, 20, 60]) {
      const text = lines[line] ?? '';
      const other = text[at] === 'A' ? 'B' : 'A';
      const tampered = lines.with(line, text.slice(0, at) + other + text.slice(at + 1)).join('\n');
      const path = changed((to) => writeFileSync(join(to, 'pack.json.minisig'), tampered));
      await expect(verified(path, keys)).rejects.toMatchObject({
        code: expect.stringMatching(/^(bad-signature|untrusted-key)$/),
      });
    }
  }
});

signed('says of an expired pack that it is, and goes on using it', async () => {
  const keys = makeKeys('acme');
  const packs = packsWith(keys);
  await packs.install(await built(source(1), keys), signal);
  expect(await packs.problems()).toEqual([]);
  now += 2 * YEAR;
  await packs.reload();
  expect(await packs.problems()).toMatchObject([{ file: 'acme/rules', message: /expired/ }]);
  expect(plugins.detectors).toHaveLength(1);
});

signed('closes what a scan holds only when the scan has ended', async () => {
  const keys = makeKeys('acme');
  const packs = packsWith(keys);
  await packs.install(await built(source(1), keys), signal);
  const held = plugins.acquire();
  const [old] = held.detectors;
  await packs.install(
    await built(source(2, { 'rules/more.yar': 'rule More { condition: false }' }), keys),
    signal,
  );
  expect(plugins.detectors[0]).not.toBe(old);
  expect(held.detectors[0]).toBe(old);
  expect(old?.instance.engine.signatureCount).toBe(1);
  held[Symbol.dispose]();
});

signed('takes only what is newer by itself, so that what was rolled back stays so', async () => {
  const keys = makeKeys('acme');
  const packs = packsWith(keys);
  const [first, second] = [await built(source(1), keys), await built(source(2), keys)];
  expect(await packs.update(first, signal)).toMatchObject({ active: { version: '1.1' } });
  expect(await packs.update(second, signal)).toMatchObject({ before: { version: '1.1' } });
  await packs.rollback('acme', 'rules', signal);
  expect(await packs.update(second, signal)).toBeUndefined();
  expect(await packs.update(first, signal)).toBeUndefined();
  expect(active()).toBe('1.1');
  const other = await built(source(2, { 'rules/more.yar': 'rule More { condition: false }' }), keys);
  await expect(packs.update(other, signal)).rejects.toMatchObject({ code: 'serial-went-back' });
});

signed('leaves out what was damaged on disk, and mends it', async () => {
  const keys = makeKeys('acme');
  const packs = packsWith(keys);
  const archive = await built(source(1), keys);
  await packs.install(archive, signal);
  const [version] = readdirSync(join(directory, 'state/packs/acme/rules'));
  rmSync(join(directory, 'state/packs/acme/rules', version ?? '', 'rules/marker.yar'));
  await packs.reload();
  expect(plugins.detectors).toEqual([]);
  expect(await packs.problems()).toMatchObject([{ message: /damaged and not in use: install it again/ }]);
  await packs.install(archive, signal);
  expect([plugins.detectors.length, await packs.problems()]).toEqual([1, []]);
});

signed('uses no pack whose key is trusted no more, and does not go back to one', async () => {
  const keys = makeKeys('acme');
  const packs = packsWith(keys);
  await packs.install(await built(source(1), keys), signal);
  await packs.install(await built(source(2), keys), signal);
  const later = packsWith(makeKeys('newer'));
  await later.reload();
  expect(plugins.detectors).toEqual([]);
  expect(await later.problems()).toMatchObject([{ message: /not in use: it is signed by the key/ }]);
  await expect(later.rollback('acme', 'rules', signal)).rejects.toMatchObject({ code: 'untrusted-key' });
  expect(active()).toBe('1.2');
});

signed('holds nothing of a pack before its signature is known to be good', async () => {
  const keys = makeKeys('acme');
  const content = new Map(await readContent(await built(source(1), keys)));
  // Were it read, it would be refused for that file.
  content.set('zz/more', Buffer.alloc(8 * 1024 * 1024));
  const archive = join(directory, 'more.tar.zst');
  writeFileSync(archive, await packArchive(content));
  await expect(verified(archive, makeKeys('stranger'))).rejects.toMatchObject({ code: 'untrusted-key' });
  await expect(verified(archive, keys)).rejects.toMatchObject({ code: 'extra-file' });
  content.delete('zz/more');
  content.delete('pack.json.minisig');
  content.set('rules/large', Buffer.alloc(8 * 1024 * 1024));
  writeFileSync(archive, await packArchive(content));
  await expect(verified(archive, keys)).rejects.toMatchObject({ code: 'unsigned' });
});

signed("is not led astray by another vendor's key of the same id", async () => {
  const keys = makeKeys('acme');
  const bytes = Buffer.from(keys.trusted, 'base64');
  const twin = Buffer.concat([
    bytes.subarray(0, 10),
    Buffer.from(makeKeys('b').trusted, 'base64').subarray(10),
  ]);
  const trusted = [
    { vendor: 'other', key: twin.toString('base64') },
    { vendor: 'acme', key: keys.trusted },
  ];
  const content = await readContent(await built(source(1), keys));
  expect(verifyPack(content, trusted, now).manifest.vendor).toBe('acme');
  expect(() => verifyPack(content, trusted.slice(0, 1), now)).toThrow(
    expect.objectContaining({ code: 'bad-signature' }),
  );
});

signed('finds that libc is flagged before anything is in use', async () => {
  const keys = makeKeys('acme');
  const packs = packsWith(keys, KNOWN_GOOD);
  const rule = 'rule Libc { strings: $a = "GNU C Library" condition: uint32(0) == 0x464c457f and $a }';
  const from = await built(source(1, { 'rules/libc.yar': rule }), keys);
  await expect(packs.install(from, signal)).rejects.toMatchObject({
    code: 'flags-known-good',
    message: expect.stringMatching(/Libc .* known to be good, .*libc\.so\.6/),
  });
  expect([active(), plugins.detectors, readdirSync(join(directory, 'state/packs/acme/rules'))]).toEqual([
    undefined,
    [],
    [],
  ]);
});
