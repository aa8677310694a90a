/** A crash while packs swap leaves the old one or the new one, whole. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StateDatabase } from '../store/database.ts';
import { PackStore } from '../store/packs.ts';
import { buildPack } from './build.ts';
import { PackShelf } from './shelf.ts';
import type { TrustedKey } from './verify.ts';

const CHILD = join(import.meta.dirname, `swap.child${extname(import.meta.filename)}`);

let directory: string;
let state: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-swap-'));
  state = join(directory, 'state');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A key as minisign keeps it: see minisign.ts for the layout. */
function makeKey(): { secret: string; trusted: TrustedKey } {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const [seed, open] = [Buffer.from(jwk.d ?? '', 'base64url'), Buffer.from(jwk.x ?? '', 'base64url')];
  const id = Buffer.from('lazaret!');
  const head = Buffer.concat([Buffer.from('Ed\0\0B2'), Buffer.alloc(48)]);
  const secret = Buffer.concat([head, id, seed, open, Buffer.alloc(32)]).toString('base64');
  const key = Buffer.concat([Buffer.from('Ed'), id, open]).toString('base64');
  return { secret: `untrusted comment: a key\n${secret}\n`, trusted: { vendor: 'acme', key } };
}

async function build(serial: number, secret: string): Promise<string> {
  const from = join(directory, `source-${serial}`);
  mkdirSync(from);
  const files = ['one.txt', 'two.txt', 'three.txt'];
  for (const name of files) writeFileSync(join(from, name), `${name} of ${serial}\n`);
  const manifest = {
    schema: 1,
    vendor: 'acme',
    id: 'rules',
    version: `1.${serial}`,
    serial,
    created: '2026-01-01T00:00:00Z',
    expires: '2100-01-01T00:00:00Z',
    licence: 'MIT',
    api: { minimum: 1, maximum: 1 },
    files: files.map((path) => ({ path, type: 'hashset' })),
  };
  writeFileSync(join(from, 'pack.json'), JSON.stringify(manifest));
  const output = `${from}.tar.zst`;
  await buildPack({ directory: from, key: secret, output });
  return output;
}

async function install(archive: string, trusted: TrustedKey, lastStep: string): Promise<string | null> {
  const line = [
    '--disable-warning=ExperimentalWarning',
    CHILD,
    state,
    archive,
    lastStep,
    JSON.stringify(trusted),
  ];
  const [, signal] = await once(
    spawn(process.execPath, line, { stdio: ['ignore', 'inherit', 'inherit'] }),
    'exit',
  );
  return signal;
}

/** What a host finds that starts again: the version, and all that detectors would be handed. */
async function afterRestart(
  trusted: TrustedKey,
): Promise<{ version?: string; texts: string[]; left: string[] }> {
  const database = StateDatabase.open(state);
  try {
    const record = new PackStore(database).find('acme', 'rules');
    if (!record) throw new Error('nothing is installed');
    const { files, problems } = await new PackShelf(join(state, 'packs'), [trusted]).activate(
      record,
      Date.now(),
    );
    expect(problems).toEqual([]);
    const texts = files.map(({ path }) => readFileSync(path, 'utf8'));
    return { version: record.active.version, texts, left: readdirSync(join(state, 'packs')) };
  } finally {
    database.close();
  }
}

const textsOf = (serial: number): string[] =>
  ['one.txt', 'two.txt', 'three.txt'].map((name) => `${name} of ${serial}\n`);

it.each([
  ['half written', 1],
  ['placed', 1],
  ['renewed', 1],
  ['saved', 2],
  ['swept', 2],
  ['done', 2],
] as const)(
  'when it dies with the new one %s, version 1.%i is there, and the next try succeeds',
  async (step, serial) => {
    const { secret, trusted } = makeKey();
    const [first, second] = [await build(1, secret), await build(2, secret)];
    expect(await install(first, trusted, 'never')).toBe(null);
    expect(await install(second, trusted, step)).toBe('SIGKILL');
    expect(await afterRestart(trusted)).toMatchObject({ version: `1.${serial}`, texts: textsOf(serial) });
    const third = await build(3, secret);
    expect(await install(third, trusted, 'never')).toBe(null);
    expect(await afterRestart(trusted)).toEqual({ version: '1.3', texts: textsOf(3), left: ['acme'] });
    expect(readdirSync(join(state, 'packs/acme/rules'))).toHaveLength(2);
  },
);
