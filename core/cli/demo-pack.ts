/** The demo's step in which a vendor signs a pack of signatures, and the host takes it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DEMO_VENDOR, writePackSource } from '../../demo/pack.ts';
import { buildPack } from '../pack/build.ts';
import type { Manifest } from '../pack/manifest.ts';
import { generateKey } from '../pack/minisign.ts';
import { readStarter } from '../pack/starter.ts';
import type { TrustedKey } from '../pack/verify.ts';
import type { Engine } from './engine.ts';
import { formatNumber } from './format.ts';
import type { Run } from './run.ts';

/** The vendor's part: a key, whose public half the operator trusts, and a signed archive. */
export interface DemoPack {
  readonly trusted: TrustedKey;
  readonly archive: string;
  readonly manifest: Manifest;
}

/** `directory` exists; the vendor's files are put below it. */
export async function makeDemoPack(directory: string): Promise<DemoPack> {
  const source = join(directory, 'vendor');
  mkdirSync(source);
  writePackSource(source);
  const { secret, trusted } = generateKey();
  const archive = join(directory, 'demo.tar.zst');
  const { manifest } = await buildPack({ directory: source, key: secret, output: archive });
  return { trusted: { vendor: DEMO_VENDOR, key: trusted }, archive, manifest };
}

/** The operator's part. Rejects with PackError. */
export async function installDemoPack(
  run: Run,
  engine: Pick<Engine, 'packs'>,
  { trusted, archive, manifest }: DemoPack,
  signal: AbortSignal,
): Promise<void> {
  const of = (kind: string): number => manifest.files.filter(({ type }) => type === kind).length;
  const what = [
    formatNumber(of('yara'), 'file of YARA rules', 'files of YARA rules'),
    formatNumber(of('hashset'), 'hash list'),
    formatNumber(manifest.tests.length, 'test'),
  ].join(', ');
  run.print(`the vendor makes a key, and signs: ${what}`);
  run.print(`the operator trusts that key: ${trusted.key}`);
  const { vendor, id, active } = await engine.packs.install(archive, signal);
  run.print(
    `${vendor}/${id} ${active.version} is in use: signature, hashes, date and serial are right; its tests`,
  );
  run.print('hold; nothing is found in libc, the shell and other good files of this machine');
  const { record } = await readStarter();
  if (record) run.print(`beside it, the ${record.id} pack that comes with Lazaret`);
}
