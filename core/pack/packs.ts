/** Packs of signatures: verified, tried apart, and only then used. */
import { dirname } from 'node:path';
import type { SignatureFile, SignatureProblem } from '../api/index.ts';
import { PluginError } from '../api/index.ts';
import type { PluginRegistry } from '../plugin/registry.ts';
import type { PackRecord, PackStore, PackVersion } from '../store/packs.ts';
import { PackError } from './error.ts';
import { type ActivePack, type PackShelf, signatureFiles } from './shelf.ts';
import { tryPack } from './trial.ts';
import { readSigned, type TrustedKey, type VerifiedPack } from './verify.ts';

export interface PackParts {
  readonly shelf: PackShelf;
  readonly store: PackStore;
  readonly plugins: PluginRegistry;
  readonly trusted: readonly TrustedKey[];
  /** Files of the host in which no pack may find anything. */
  readonly knownGood: readonly string[];
  /** What comes with Lazaret itself. */
  readonly builtIn: ActivePack;
  readonly clock: () => number;
  /** Called when another version is in use. */
  readonly onChange?: ((change: PackChange) => void) | undefined;
}

/** What was done with a pack. */
export interface PackChange {
  readonly vendor: string;
  readonly id: string;
  readonly active: PackVersion;
  readonly before?: PackVersion;
}

export class Packs {
  private readonly parts: PackParts;
  /** One change at a time. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(parts: PackParts) {
    this.parts = parts;
  }

  list(): readonly PackRecord[] {
    return this.parts.store.list();
  }

  /** Verifies, tries and uses a pack, an archive or a directory. Throws PackError, and then all is as before. */
  install(path: string, signal: AbortSignal): Promise<PackChange> {
    return this.inTurn(async () => {
      const pack = await this.verify(path);
      const known = this.known(pack);
      checkSerial(pack, known);
      return this.use(pack, known, signal);
    });
  }

  /**
   * As `install`, but takes only what is newer than all that was installed, so that what was rolled back stays
   * so; undefined when it is not.
   */
  update(path: string, signal: AbortSignal): Promise<PackChange | undefined> {
    return this.inTurn(async () => {
      const pack = await this.verify(path);
      const known = this.known(pack);
      if (known && pack.manifest.serial < known.highestSerial) return undefined;
      checkSerial(pack, known);
      return pack.manifest.serial === known?.highestSerial ? undefined : this.use(pack, known, signal);
    });
  }

  /** Goes back to the version before. Throws PackError `not-found`. */
  rollback(vendor: string, id: string, signal: AbortSignal): Promise<PackChange> {
    return this.inTurn(async () => {
      const known = this.parts.store.find(vendor, id);
      if (known?.previous === undefined) {
        throw new PackError(
          'not-found',
          `there is no version of ${vendor}/${id} to go back to: lazaret pack list shows what there is`,
        );
      }
      signal.throwIfAborted();
      const record = {
        ...known,
        active: known.previous,
        previous: known.active,
        changedAt: this.parts.clock(),
      };
      await this.parts.shelf.read(record, record.active);
      await this.swap(record, 'rolled-back');
      return this.changed({ vendor, id, active: record.active, before: known.active });
    });
  }

  /** Takes up what the database names. Throws PluginError, and then the detectors are as before. */
  reload(): Promise<void> {
    return this.inTurn(async () => this.parts.plugins.renew(await this.filesOf(this.parts.store.list())));
  }

  /** What is wrong with active packs: expired, damaged. */
  async problems(): Promise<readonly SignatureProblem[]> {
    const { store, shelf, clock, builtIn } = this.parts;
    const active = await Promise.all(store.list().map((record) => shelf.activate(record, clock())));
    return [builtIn, ...active].flatMap(({ problems }) => problems);
  }

  private verify(path: string): Promise<VerifiedPack> {
    const { trusted, clock } = this.parts;
    return readSigned(path, trusted, clock());
  }

  private known({ manifest: { vendor, id } }: VerifiedPack): PackRecord | undefined {
    return this.parts.store.find(vendor, id);
  }

  private async use(
    pack: VerifiedPack,
    known: PackRecord | undefined,
    signal: AbortSignal,
  ): Promise<PackChange> {
    const { vendor, id } = pack.manifest;
    const active = versionOf(pack);
    if (known?.active.digest === active.digest) await this.mend(pack);
    else await this.replace(pack, known, signal);
    return this.changed({ vendor, id, active, ...(known && { before: known.active }) });
  }

  private changed(change: PackChange): PackChange {
    if (change.active.digest !== change.before?.digest) this.parts.onChange?.(change);
    return change;
  }

  /** What is in use already was tried then; its files may have been damaged since. */
  private async mend(pack: VerifiedPack): Promise<void> {
    const { shelf, store, plugins } = this.parts;
    await shelf.put(pack);
    await plugins.renew(await this.filesOf(store.list())).catch(asPackError);
  }

  private async replace(
    pack: VerifiedPack,
    known: PackRecord | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { shelf, store, clock } = this.parts;
    const { manifest } = pack;
    const { vendor, id, serial } = manifest;
    const place = await shelf.put(pack);
    try {
      await this.try(pack, place, signal);
      const highestSerial = Math.max(serial, known?.highestSerial ?? 0);
      const record = { vendor, id, active: versionOf(pack), highestSerial, changedAt: clock() };
      await this.swap({ ...record, ...(known && { previous: known.active }) }, 'installed');
    } finally {
      await shelf.sweep(store.list());
    }
  }

  private async try({ manifest }: VerifiedPack, place: string, signal: AbortSignal): Promise<void> {
    const files = signatureFiles(manifest, place);
    const detectors = await this.parts.plugins.apart(files).catch(asPackError);
    try {
      if (detectors.length === 0) {
        throw new PackError('no-detector', 'no plugin that is in use takes its files: enable one that does');
      }
      const instances = detectors.map(({ instance }) => instance);
      await tryPack({ manifest, place, scratch: dirname(place) }, instances, this.parts.knownGood, signal);
    } finally {
      await Promise.all(detectors.map(({ instance }) => instance.close()));
    }
  }

  /** The detectors first: whatever fails, database and detectors agree. */
  private async swap(record: PackRecord, event: 'installed' | 'rolled-back'): Promise<void> {
    const { store, plugins } = this.parts;
    const before = store.list();
    const others = before.filter(({ vendor, id }) => vendor !== record.vendor || id !== record.id);
    await plugins.renew(await this.filesOf([...others, record])).catch(asPackError);
    try {
      store.save(record, event);
    } catch (error) {
      await plugins.renew(await this.filesOf(before));
      throw error;
    }
  }

  private async filesOf(records: readonly PackRecord[]): Promise<readonly SignatureFile[]> {
    const { shelf, clock, builtIn } = this.parts;
    return [...builtIn.files, ...(await activeFiles(shelf, records, clock()))];
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work);
    this.turn = done.catch(() => undefined);
    return done;
  }
}

/** The files of active packs, in an order that depends on nothing else. */
export async function activeFiles(
  shelf: PackShelf,
  records: readonly PackRecord[],
  now: number,
): Promise<readonly SignatureFile[]> {
  const sorted = records.toSorted((a, b) => (`${a.vendor}/${a.id}` < `${b.vendor}/${b.id}` ? -1 : 1));
  const active = await Promise.all(sorted.map((record) => shelf.activate(record, now)));
  return active.flatMap(({ files }) => files);
}

/** Throws PackError `serial-went-back`. `known`: what is installed of that pack. */
export function checkSerial({ manifest, digest }: VerifiedPack, known: PackRecord | undefined): void {
  const { serial } = manifest;
  if (known === undefined || serial > known.highestSerial) return;
  const kept = [known.active, known.previous].find((version) => version?.serial === serial);
  if (serial === known.highestSerial && kept?.digest === digest) return;
  throw new PackError(
    'serial-went-back',
    `its serial is ${serial}, and ${known.highestSerial} was installed already: get a newer release, or go back with lazaret pack rollback`,
  );
}

export const versionOf = ({ manifest, digest }: VerifiedPack): PackVersion => ({
  serial: manifest.serial,
  version: manifest.version,
  digest,
  expires: manifest.expires,
  signatures: manifest.files.filter(({ type }) => type !== 'sample' && type !== 'text').length,
});

function asPackError(cause: unknown): never {
  if (!(cause instanceof PluginError)) throw cause;
  throw new PackError('bad-signatures', `its signatures cannot be used: ${cause.message}`, { cause });
}
