/**
 * What is known of one guest in one scan of it: which lines of its listing it need not send again, which
 * content each of its files had, and a sample of both that is fetched all the same.
 *
 * All of it rests on the guest reporting its files as they are. One that is caught saying that a changed file
 * did not change, or that it holds what it does not, is believed nothing more: what is kept of it is thrown
 * away, and nothing more is kept in this scan.
 */
import { LIMITS } from '../../protocol/index.ts';
import type { KnownLines } from '../channel/session.ts';
import { isUnwritten } from '../error.ts';
import { ENTRY_BYTES, type LineSummary } from '../store/known-lines.ts';
import type { Judged } from './contents.ts';
import type { FileLine, ListedFile } from './inventory.ts';
import type { KnownContentPolicy, Notes } from './known.ts';
import { isSame, type KnownHash, type LineFile, OpenLine } from './line.ts';
import type { Steadiness } from './steadiness.ts';

export interface KnownGuestOptions {
  readonly vm: string;
  /** 16 bytes (`AnswerKeys.generation`). */
  readonly generation: Buffer;
  readonly steadiness: Steadiness;
  readonly policy: KnownContentPolicy;
  readonly isFresh: boolean;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Lines that the guest is told of at most. Default: all that the contract lets be told. */
  readonly mostLines?: number;
  /** Called when the scan has ended: the lines are not held any more. */
  readonly onEnd?: () => void;
}

/** A file that is not what the guest said it is. */
export interface Lie {
  readonly said: KnownHash;
  readonly found: string;
}

/** A line that the guest is told of. */
interface ToldLine extends LineSummary {
  /** It was learnt from another guest, of which this one may be a clone. */
  readonly isOthers: boolean;
  isConfirmed: boolean;
  /** It comes in full, and all its files are fetched. */
  isAudited: boolean;
}

/** Of each scan, at least so many known lines come in full, and about so many of the first known files. */
const AUDITED_AT_LEAST = 4;
/** Lines of one directory whose entries are looked at; in one with more files, some are fetched again. */
const DIRECTORY_LINES = 128;

export class KnownGuest implements KnownLines {
  private told: readonly string[];
  private readonly notes: Notes | undefined;
  private readonly options: KnownGuestOptions;
  private readonly id: number = 0;
  private readonly lastId: number = 0;
  private readonly lines = new Map<string, ToldLine>();
  /** Of the line or directory that is being looked at. */
  private recalled: { key: string; hashes: ReadonlyMap<string, KnownHash> } | undefined;
  private believes: boolean;
  private hasLied = false;
  private isCut = false;
  private skipped = 0;

  /** Throws StoreError. Nothing is known where there are no `notes`. */
  constructor(notes: Notes | undefined, options: KnownGuestOptions) {
    this.notes = notes;
    this.options = options;
    this.believes = notes !== undefined && !options.isFresh;
    if (notes) {
      this.id = notes.lines.begin(options.vm, options.now);
      this.lastId = notes.lines.lastId(this.id);
    }
    if (this.believes) this.loadLines();
    this.told = this.digestsToTell();
  }

  /** Whether the guest may still be asked what its files hash to. */
  get takesClaims(): boolean {
    return this.believes && this.options.policy.agentHashes && this.notes?.isEmpty === false;
  }

  /** It was never scanned, and may be a clone of one that was. */
  get isNew(): boolean {
    return this.believes && this.options.policy.agentHashes && this.lastId === 0;
  }

  /** Looks again at what is known: of a clone, by now. Throws StoreError. */
  reload(): void {
    this.notes?.save();
    this.lines.clear();
    this.loadLines();
    this.told = this.digestsToTell();
  }

  get isCaughtLying(): boolean {
    return this.hasLied;
  }

  /** Of known lines, to be told to the guest: what it has unchanged it answers by digest alone. */
  get digests(): readonly string[] {
    return this.believes ? this.told : [];
  }

  has(digest: string): boolean {
    return this.believes && this.lines.get(digest)?.isAudited === false;
  }

  get linesHeld(): number {
    return this.lines.size;
  }

  /** The guest says that this line is as it was. Undefined for one that it was not told. */
  confirm(digest: string): Readonly<ToldLine> | undefined {
    const line = this.has(digest) ? this.lines.get(digest) : undefined;
    if (line) line.isConfirmed = true;
    return line;
  }

  open(source: FileLine): OpenLine {
    return new OpenLine(source, (line) => this.keep(line));
  }

  /** What the files of a line hashed to when they were as they are now. */
  recall(line: OpenLine, file: ListedFile): LineFile {
    const own = line.file(file);
    const expected = this.hashesOf(line).get(own.digest.toString('latin1'));
    return expected ? { ...own, expected } : own;
  }

  /** Whether all files of this line are to be fetched, though it is known. */
  isAudited({ source }: OpenLine): boolean {
    return this.lines.get(source.digest)?.isAudited === true;
  }

  /** Whether a file that is known is fetched all the same: the first always, later ones seldom. */
  drawn(): boolean {
    const { policy, random } = this.options;
    if (policy.auditShare === 0) return false;
    const share = Math.max(policy.auditShare, AUDITED_AT_LEAST / (this.skipped + AUDITED_AT_LEAST));
    this.skipped += 1;
    return random() < share;
  }

  /** A file is clean, and this is known of it, whether it was fetched or not. */
  settle(file: LineFile, known: KnownHash): void {
    if (this.options.steadiness.isOld(file.listed.ctime)) file.line.settle(file, known);
    else file.line.leave();
  }

  /** Nobody wants this file, whatever it holds. */
  pass(line: OpenLine, { entry: [, , , , ctime] }: ListedFile): void {
    if (this.options.steadiness.isOld(ctime)) line.pass();
    else line.leave();
  }

  /** A file was fetched, or could not be. Gives what the guest had said of it when that was not so. */
  note(file: LineFile, { opened, isKept }: Judged<unknown>): Lie | undefined {
    const isWhatWasListed = opened && isSame(file.listed, opened.facts);
    const found = opened?.content.digests.sha256 ?? '';
    if (isWhatWasListed && isKept) this.settle(file, { sha256: found, isClaimed: false });
    else file.line.leave();
    const { expected } = file;
    if (!isWhatWasListed || !expected || expected.sha256 === found || !this.isSteady(file)) return undefined;
    this.distrust();
    return { said: expected, found };
  }

  /** The listing does not tell of all files. */
  listingIsCut(): void {
    this.isCut = true;
  }

  /** Writes down what is due. Throws StoreError. */
  saveInTime(): void {
    this.notes?.saveInTime();
  }

  /** The scan has ended. `isWhole`: the listing was of the whole guest and came to its end. Throws StoreError. */
  end(listing: { readonly isComplete: boolean; readonly isWhole: boolean }): void {
    this.options.onEnd?.();
    try {
      this.keepListing(listing);
    } catch (error) {
      // What could not be kept is looked at once more.
      if (!isUnwritten(error)) throw error;
    }
  }

  private keepListing({
    isComplete,
    isWhole,
  }: {
    readonly isComplete: boolean;
    readonly isWhole: boolean;
  }): void {
    this.notes?.save();
    if (!this.notes || this.hasLied) return;
    const confirmed = this.lines
      .values()
      .filter(({ isConfirmed }) => isConfirmed)
      .toArray();
    const idsOf = (isOthers: boolean) =>
      confirmed.filter((line) => line.isOthers === isOthers).map(({ id }) => id);
    this.notes.lines.adopt(this.id, idsOf(true));
    if (!isComplete || this.isCut) return;
    const own = new Set(idsOf(false));
    this.notes.lines.sweep(this.id, this.lastId, isWhole, (id) => own.has(id));
  }

  private loadLines(): void {
    const { generation, policy } = this.options;
    const { lines } = this.notes as Notes;
    this.tell(lines.ofGeneration(this.id, generation, policy.agentHashes), false);
    if (this.isNew && policy.cloneLines)
      this.tell(lines.ofOthers(this.id, generation, LIMITS.knownLines), true);
  }

  private tell(known: Iterable<LineSummary>, isOthers: boolean): void {
    const { mostLines = LIMITS.knownLines } = this.options;
    for (const line of known) {
      if (this.lines.size >= mostLines) return;
      if (this.lines.has(line.digest)) continue;
      this.lines.set(line.digest, { ...line, isOthers, isConfirmed: false, isAudited: false });
    }
  }

  private digestsToTell(): string[] {
    const { policy, random } = this.options;
    const digests = Array.from(this.lines.keys());
    if (policy.auditShare === 0) return digests;
    const audited = Math.max(AUDITED_AT_LEAST, Math.round(digests.length * policy.auditShare));
    for (let count = 0; count < audited && digests.length > 0; count++) {
      const place = Math.floor(random() * digests.length);
      const line = this.lines.get(digests[place] as string);
      if (line) line.isAudited = true;
      // The order does not matter: the last one takes the place of the one that is left out.
      digests[place] = digests.at(-1) as string;
      digests.pop();
    }
    return digests;
  }

  /** Its times tell of every change of its content. */
  private isSteady({ line: { source }, listed }: LineFile): boolean {
    const { steadiness } = this.options;
    return steadiness.isOld(listed.ctime) && steadiness.isSound(source.directory.bytes, source.dev);
  }

  private keep(line: OpenLine): void {
    if (!this.notes || this.hasLied) return;
    const { directory, dev } = line.source;
    if (!this.options.steadiness.isSound(directory.bytes, dev)) return;
    const kept = line.kept(this.options.generation);
    if (kept) this.notes.keepLine(this.id, kept);
  }

  private hashesOf({ directory, source }: OpenLine): ReadonlyMap<string, KnownHash> {
    if (!this.believes) return NOTHING;
    const line = this.lines.get(source.digest);
    if (line?.isOthers) return this.recalling(source.digest, () => this.loadLine(line));
    if (this.lastId === 0) return NOTHING;
    return this.recalling(directory.toString('latin1'), () => this.loadDirectory(directory));
  }

  /** Lines of one directory follow each other. */
  private recalling(key: string, load: () => ReadonlyMap<string, KnownHash>): ReadonlyMap<string, KnownHash> {
    if (this.recalled?.key !== key) this.recalled = { key, hashes: load() };
    return this.recalled.hashes;
  }

  private loadLine({ id }: ToldLine): ReadonlyMap<string, KnownHash> {
    const entries = this.notes?.lines.entriesOf(id) ?? Buffer.alloc(0);
    return new Map(hashesIn(entries, true));
  }

  private loadDirectory(directory: Buffer): ReadonlyMap<string, KnownHash> {
    const { agentHashes } = this.options.policy;
    const kept = this.notes?.lines.ofDirectory(this.id, directory, agentHashes, DIRECTORY_LINES) ?? [];
    return new Map(kept.flatMap(({ claimed, entries }) => Array.from(hashesIn(entries, claimed))));
  }

  private distrust(): void {
    if (this.hasLied) return;
    this.hasLied = true;
    this.believes = false;
    this.notes?.forget(this.id);
  }
}

const DIGEST_BYTES = 16;
const NOTHING: ReadonlyMap<string, KnownHash> = new Map();

/** The hash of each file by the digest of its entry. */
function* hashesIn(entries: Buffer, isClaimed: boolean): Generator<[string, KnownHash]> {
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const sha256 = entries.toString('hex', at + DIGEST_BYTES, at + ENTRY_BYTES);
    yield [entries.toString('latin1', at, at + DIGEST_BYTES), { sha256, isClaimed }];
  }
}
