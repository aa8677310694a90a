/** A vendor's pack of a few files, signed. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildPack } from '../core/pack/build.ts';
import type { MinisignKey } from '../core/pack/minisign.ts';

export interface PackSource {
  readonly serial: number;
  readonly files: readonly { readonly path: string; readonly type: string; readonly text: string }[];
  /** Default: far away. */
  readonly expires?: string;
}

/** The archive, of the pack acme/rules in version 1.SERIAL, in a folder of its own below `directory`. */
export async function makePack(
  directory: string,
  { serial, files, expires = '2100-01-01T00:00:00Z' }: PackSource,
  key: MinisignKey,
): Promise<string> {
  const from = mkdtempSync(join(directory, 'pack-'));
  for (const { path, text } of files) {
    mkdirSync(dirname(join(from, path)), { recursive: true });
    writeFileSync(join(from, path), text);
  }
  const manifest = {
    schema: 1,
    vendor: 'acme',
    id: 'rules',
    version: `1.${serial}`,
    serial,
    created: '2026-01-01T00:00:00Z',
    expires,
    licence: 'MIT',
    api: { minimum: 1, maximum: 1 },
    files: files.map(({ path, type }) => ({ path, type })),
  };
  writeFileSync(join(from, 'pack.json'), JSON.stringify(manifest));
  const output = `${from}.tar.zst`;
  await buildPack({ directory: from, key, output });
  return output;
}
