/** Making packs: hashes filled in, signed, and put into an archive. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packArchive, readContent } from './content.ts';
import { PackError } from './error.ts';
import { MANIFEST, type Manifest, parseDraft, parseManifest, SIGNATURE } from './manifest.ts';
import { type MinisignKey, signWith } from './minisign.ts';
import { sha256 } from './verify.ts';

export interface BuildRequest {
  /** Where pack.json and the files that it lists lie. */
  readonly directory: string;
  /** Of the archive; none is made without it. */
  readonly output?: string | undefined;
  readonly key?: MinisignKey | undefined;
}

export interface Built {
  readonly manifest: Manifest;
  /** pack.json was changed. */
  readonly updated: boolean;
  /** False: pack.json.minisig is missing, or is of an older pack.json. */
  readonly signed: boolean;
  readonly archive?: string;
}

/** Writes pack.json, its signature when there is a key, and the archive when it is signed. Throws PackError. */
export async function buildPack({ directory, output, key }: BuildRequest): Promise<Built> {
  const content = new Map(await readContent(directory));
  const given = content.get(MANIFEST);
  if (!given)
    throw new PackError('bad-manifest', `there is no ${join(directory, MANIFEST)}: write one first`);
  const bytes = fillIn(given, content);
  const manifest = parseManifest(bytes);
  const updated = !bytes.equals(given);
  if (updated) await writeFile(join(directory, MANIFEST), bytes);
  content.set(MANIFEST, bytes);
  if (key !== undefined) {
    const { vendor, id, version, serial } = manifest;
    const signature = signWith(key, bytes, `${vendor}/${id} ${version}, serial ${serial}`);
    await writeFile(join(directory, SIGNATURE), signature);
    content.set(SIGNATURE, Buffer.from(signature));
  }
  const signed = key !== undefined || (!updated && content.has(SIGNATURE));
  if (!signed || output === undefined) return { manifest, updated, signed };
  await writeFile(output, await packArchive(content));
  return { manifest, updated, signed, archive: output };
}

/** The manifest with the hash and size of each file; every file that lies there must be listed. */
function fillIn(given: Buffer, content: ReadonlyMap<string, Buffer>): Buffer {
  const draft = parseDraft(given);
  const files = draft.files.map((file) => {
    const bytes = content.get(file.path);
    if (!bytes) throw new PackError('missing-file', `${file.path} is listed and not there: add or unlist it`);
    return { ...file, sha256: sha256(bytes), size: bytes.length };
  });
  const listed = new Set([MANIFEST, SIGNATURE, ...files.map(({ path }) => path)]);
  const stray = [...content.keys()].find((path) => !listed.has(path));
  if (stray) throw new PackError('extra-file', `${stray} is not listed in ${MANIFEST}: list or remove it`);
  return Buffer.from(`${JSON.stringify({ ...draft, files }, undefined, 2)}\n`);
}
