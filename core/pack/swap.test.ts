/** A crash while packs swap leaves the old one or the new one, whole. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makePack } from '../../test/make-pack.ts';
import { StateDatabase } from '../store/database.ts';
import { PackStore } from '../store/packs.ts';
import { generateKey, type MinisignKey } from './minisign.ts';
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

const NAMES = ['one.txt', 'two.txt', 'three.txt'];

function build(serial: number, key: MinisignKey): Promise<string> {
  const files = NAMES.map((path) => ({ path, type: 'hashset', text: `${path} of ${serial}\n` }) as const);
  return makePack(directory, { serial, files }, key);
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

const textsOf = (serial: number): string[] => NAMES.map((name) => `${name} of ${serial}\n`);

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
    const { secret, trusted: key } = generateKey();
    const trusted = { vendor: 'acme', key };
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
