/**
 * The pack that comes with Lazaret: in use without any configuration, never installed, and not signed. Why it is
 * not stands in docs/decisions/starter-pack.md.
 */
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import type { PackRecord } from '../store/packs.ts';
import { readContent } from './content.ts';
import { versionOf } from './packs.ts';
import { type ActivePack, signatureFiles } from './shelf.ts';
import { verifyUnsigned } from './verify.ts';

export interface Starter extends ActivePack {
  /** Undefined when it cannot be read; `problems` then says why. */
  readonly record?: Pick<PackRecord, 'vendor' | 'id' | 'active'>;
}

/** Where it lies, for the sources as well as for what was built of them. */
export const STARTER = join(dirname(findPackageJSON('.', import.meta.url) ?? ''), 'packs', 'starter');

/** One that is damaged is left out, and is a problem. Its date says nothing: it is replaced with the release. */
export async function readStarter(directory = STARTER): Promise<Starter> {
  try {
    const pack = verifyUnsigned(await readContent(directory));
    const { vendor, id } = pack.manifest;
    const record = { vendor, id, active: versionOf(pack) };
    return { record, files: signatureFiles(pack.manifest, directory), problems: [] };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const message = `the starter pack is damaged and not in use: install Lazaret again (${why})`;
    return { files: [], problems: [{ file: 'lazaret/starter', message }] };
  }
}
