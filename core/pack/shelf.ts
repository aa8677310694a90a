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
import { fits, type Manifest } from './manifest.ts';
import { type VerifiedPack, verifyUnsigned } from './verify.ts';

const INCOMING = '.incoming-';

/** What an active pack has for detectors, and what is wrong with it. */
export interface ActivePack {
  readonly files: readonly SignatureFile[];
  readonly problems: readonly SignatureProblem[];
}

export class PackShelf {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  place(vendor: string, id: string, { serial, digest }: Pick<PackVersion, 'serial' | 'digest'>): string {
    return join(this.directory, vendor, id, `${serial}-${digest.slice(0, 16)}`);
  }

  /** Puts a verified pack where its place is. Rejects with the error of the file system, leaving nothing. */
  async put({ manifest, digest, content }: VerifiedPack): Promise<string> {
    const place = this.place(manifest.vendor, manifest.id, { serial: manifest.serial, digest });
    const incoming = join(this.directory, `${INCOMING}${randomUUID()}`);
    try {
      await mkdir(incoming, { recursive: true, mode: 0o700 });
      for (const [path, bytes] of content) await writeDurably(join(incoming, path), bytes);
      await mkdir(dirname(place), { recursive: true, mode: 0o700 });
      await rm(place, { recursive: true, force: true });
      await rename(incoming, place);
      await syncDirectory(dirname(place));
      return place;
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
  }

  /** An installed pack, every hash checked again. Throws PackError when it was damaged. */
  async read({ vendor, id }: Pick<PackRecord, 'vendor' | 'id'>, version: PackVersion): Promise<VerifiedPack> {
    const pack = verifyUnsigned(await readContent(this.place(vendor, id, version)));
    if (pack.digest === version.digest) return pack;
    throw new Error('its manifest is not the one that was installed');
  }

  /** A damaged pack is left out, an expired one used; either is a problem. */
  async activate(record: PackRecord, now: number): Promise<ActivePack> {
    const { vendor, id, active } = record;
    try {
      const { manifest } = await this.read(record, active);
      const files = signatureFiles(manifest, this.place(vendor, id, active));
      return { files, problems: expiryProblems(manifest, now) };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const message = `the pack is damaged and not in use: ${why}; install it again`;
      return { files: [], problems: [{ file: `${vendor}/${id}`, message }] };
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
  return [{ file: `${vendor}/${id}`, message: `the pack expired on ${expires}: install a newer release` }];
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
