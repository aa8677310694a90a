/** The source of the demo's pack, as a vendor would keep it: what `rules/` and `hashes/` hold, tried on samples. */
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './package-root.ts';
import { dropper, implant, minerSettings } from './samples.ts';

export const DEMO_VENDOR = 'demo-vendor';

const YEAR_MS = 365 * 24 * 3600 * 1000;
const HARMLESS = Buffer.from('nothing to be found\n');

/** Each with the signature that must find it; none must find the last. */
const SAMPLES = [
  { name: 'fetch.sh', content: dropper, signature: 'Lazaret_Demo_Implant' },
  { name: 'helper', content: implant, signature: 'Lazaret_Demo_Implant' },
  { name: 'config.json', content: minerSettings, signature: 'Lazaret.Demo.MinerSettings' },
  { name: 'harmless.txt', content: () => HARMLESS, signature: undefined },
] as const;

/** Fills an empty folder; `lazaret pack build` does the rest. */
export function writePackSource(directory: string): void {
  for (const folder of ['rules', 'hashes']) {
    cpSync(join(packageRoot, 'demo', folder), join(directory, folder), { recursive: true });
  }
  mkdirSync(join(directory, 'samples'));
  for (const { name, content } of SAMPLES) writeFileSync(join(directory, 'samples', name), content());
  const now = Date.now();
  const manifest = {
    schema: 1,
    vendor: DEMO_VENDOR,
    id: 'demo',
    version: '1.0',
    serial: 1,
    created: new Date(now).toISOString(),
    expires: new Date(now + YEAR_MS).toISOString(),
    licence: 'Apache-2.0',
    api: { minimum: 1, maximum: 1 },
    files: [
      ...listed(directory, 'rules', 'yara'),
      ...listed(directory, 'hashes', 'hashset'),
      ...listed(directory, 'samples', 'sample'),
    ],
    tests: SAMPLES.map(({ name, signature }) => ({
      sample: `samples/${name}`,
      ...(signature === undefined ? { expect: 'clean' } : { expect: 'detected', signature }),
    })),
  };
  writeFileSync(join(directory, 'pack.json'), JSON.stringify(manifest));
}

const listed = (directory: string, folder: string, type: string): { path: string; type: string }[] =>
  readdirSync(join(directory, folder)).map((name) => ({ path: `${folder}/${name}`, type }));
