/**
 * Installed packs on disk: `packs/VENDOR/ID/SERIAL-DIGEST`, each written whole under another name first. Which
 * of them are in use stands in the database; a directory that it does not name is a leftover.
 */

import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SignatureFile, SignatureProblem } from '../api/index.ts';
import type { PackRecord, PackVersion } from '../store/packs.ts';
import { readContent } from './content.ts';
import { PackError } from './error.ts';
import { fits, type Manifest } from './manifest.ts';
import { checkSigner, type TrustedKey, type VerifiedPack, verifyUnsigned } from './verify.ts';

const INCOMING = '.incoming-';

/** What an active pack has for detectors, and what is wrong with it. */
export interface ActivePack {
  readonly files: readonly SignatureFile[];
  readonly problems: readonly SignatureProblem[];
}

export class PackShelf {
  private readonly directory: string;
  private readonly trusted: readonly TrustedKey[];

  constructor(directory: string, trusted: readonly TrustedKey[]) {
    this.directory = directory;
    this.trusted = trusted;
  }

  place(vendor: string, id: string, { serial, digest }: Pick<PackVersion, 'serial' | 'digest'>): string {
    return join(this.directory, vendor, id, `${serial}-${digest.slice(0, 16)}`);
  }

  /**
   * Puts a verified pack where its place is; one that lies there whole stays, as it may be in use. Rejects with
   * the error of the file system, leaving nothing.
   */
  async put({ manifest, digest, content }: VerifiedPack): Promise<string> {
    const place = this.place(manifest.vendor, manifest.id, { serial: manifest.serial, digest });
    if ((await readPlace(place).catch(() => undefined))?.digest === digest) return place;
    const incoming = join(this.directory, `${INCOMING}${randomUUID()}`);
    try {
      await mkdir(incoming, { recursive: true, mode: 0o700 });
      for (const [path, bytes] of content) await writeDurably(join(incoming, path), bytes);
      const directories = new Set([...content.keys()].map((path) => dirname(join(incoming, path))));
      for (const directory of [...directories, incoming]) await syncDirectory(directory);
      const parent = dirname(place);
      await mkdir(parent, { recursive: true, mode: 0o700 });
      await remove(place);
      await rename(incoming, place);
      for (const directory of [parent, dirname(parent), this.directory]) await syncDirectory(directory);
      return place;
    } finally {
      await remove(incoming);
    }
  }

  /**
   * An installed pack, every hash checked again, and that its vendor's key is trusted still. Throws PackError;
   * `untrusted-key` when the key was taken out of the configuration.
   */
  async read({ vendor, id }: Pick<PackRecord, 'vendor' | 'id'>, version: PackVersion): Promise<VerifiedPack> {
    const pack = await readPlace(this.place(vendor, id, version));
    if (pack.digest !== version.digest) {
      throw new PackError('wrong-hash', 'its manifest is not the one that was installed');
    }
    checkSigner(vendor, pack.content, this.trusted);
    return pack;
  }

  /** A damaged pack, or one whose key is trusted no more, is left out; an expired one is used. All are problems. */
  async activate(record: PackRecord, now: number): Promise<ActivePack> {
    const { vendor, id, active } = record;
    try {
      const { manifest } = await this.read(record, active);
      const files = signatureFiles(manifest, this.place(vendor, id, active));
      return { files, problems: expiryProblems(manifest, now) };
    } catch (error) {
      return { files: [], problems: [{ file: `${vendor}/${id}`, message: whyLeftOut(error) }] };
    }
  }

  /** Removes what a crash has left, and versions that are neither in use nor kept. */
  async sweep(records: readonly PackRecord[]): Promise<void> {
    const kept = new Set(
      records.flatMap(({ vendor, id, active, previous }) =>
        [active, previous].flatMap((version) => (version ? [this.place(vendor, id, version)] : [])),
      ),
    );
    for (const vendor of await names(this.directory)) {
      if (vendor.startsWith(INCOMING)) await remove(join(this.directory, vendor));
      else {
        for (const id of await names(join(this.directory, vendor))) {
          for (const version of await names(join(this.directory, vendor, id))) {
            const place = join(this.directory, vendor, id, version);
            if (!kept.has(place)) await remove(place);
          }
        }
      }
    }
  }
}

const readPlace = async (place: string): Promise<VerifiedPack> => verifyUnsigned(await readContent(place));

function whyLeftOut(error: unknown): string {
  if (error instanceof PackError && error.code === 'untrusted-key') {
    return `the pack is not in use: ${error.message}`;
  }
  const why = error instanceof Error ? error.message : String(error);
  return `the pack is damaged and not in use: install it again (${why})`;
}

/** The files that detectors are handed, as they lie in `place`. */
export const signatureFiles = (manifest: Manifest, place: string): SignatureFile[] =>
  manifest.files.flatMap((file) => {
    const { type, path: name } = file;
    if (type === 'sample' || type === 'text' || !fits(file)) return [];
    const pack = `${manifest.vendor}/${manifest.id}`;
    return [{ type, path: join(place, name), name, pack, version: manifest.version }];
  });

function expiryProblems({ vendor, id, expires }: Manifest, now: number): SignatureProblem[] {
  if (Date.parse(expires) > now) return [];
  const message = `the pack expired on ${expires} and is used all the same: install a newer release`;
  return [{ file: `${vendor}/${id}`, message }];
}

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await using file = await open(path, 'wx', 0o400);
  await file.writeFile(bytes);
  await file.sync();
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true });

const names = (directory: string): Promise<string[]> =>
  readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw error;
  });
