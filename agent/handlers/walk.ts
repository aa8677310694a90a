/**
 * A walk over the trees below some roots, line by line as the host reads them. Where it stands can be told at any
 * moment, and another walk begun from there: one that never comes back from a call is gone on with behind it.
 */
import { closeSync } from 'node:fs';
import {
  addCounts,
  decodeBytes,
  encodeBytes,
  type GuestPath,
  type InventoryRequest,
  LIMITS,
} from '../../protocol/index.ts';
import { openDirectory } from '../linux/calls.ts';
import { type DirectoryEntry, ENTRY, entryBuffer, readEntries } from '../linux/directory.ts';
import { errnoOf } from '../linux/error.ts';
import { AUTOMOUNT, isKernels, type MountPoint, type MountTable } from '../linux/mounts.ts';
import type { Root } from '../linux/root.ts';
import { FileStatus } from '../linux/status.ts';
import type { Avoided } from '../reader/messages.ts';
import { SurveyLine } from './survey-line.ts';
import { Unresponsive, unresponsiveDetail } from './unresponsive.ts';
import { directoryHead, entryJson, faultLine, faultOf, leftOut, toLine } from './walk-lines.ts';
import { WalkRoots } from './walk-roots.ts';
import { type Counts, type Pending, WALK_BEGIN, type WalkProgress, type WalkState } from './walk-state.ts';

/** What a walk is told besides its request. */
export interface WalkParts {
  readonly root: Root;
  /** Whether a directory (`dev:ino`) is the agent's own, and left out. */
  readonly isOwn: (identity: string) => boolean;
  readonly mounts: MountTable;
  /** What no call comes back from. */
  readonly avoided: Pick<Avoided, 'mounts' | 'paths'>;
  /** Called before each call that could wait: at a directory, or an entry of the last one. */
  note(directory: Buffer): void;
  noteEntry(name?: Buffer): void;
}

const SLASH = Buffer.from('/');
const HERE = Buffer.from('.');
/** So many directories that were found in one are told of before it is at its end, lest they come all at once. */
const MOST_HELD_BACK = 4096;

export class Walk {
  private readonly request: InventoryRequest;
  private readonly parts: WalkParts;
  private readonly roots: WalkRoots;
  private readonly unresponsive: Unresponsive;
  /** When its time is over. */
  private deadline = 0;
  /** When it should let others have their turn. */
  private turnEnds = 0;
  private readonly status = new FileStatus();
  /** One directory is read at a time. */
  private readonly buffer = entryBuffer();
  private readonly counts: Counts;
  private limit: 'entries' | 'time' | undefined;
  private isTooDeep: boolean;
  private tree: number;
  private isBegun: boolean;
  private stack: Pending[];
  /** How far down the stack was unwound since it was last told of. */
  private low = 0;
  /** The directory at work, what was found in it to be listed later, and what had been counted before it. */
  private current:
    | { readonly pending: Pending; isTold: boolean; below: Pending[]; before: Counts }
    | undefined;
  private unfinished: Buffer | undefined;

  /** Throws ProtocolError when a path of the request cannot name anything. */
  constructor(request: InventoryRequest, parts: WalkParts, state: WalkState = WALK_BEGIN) {
    this.request = request;
    this.parts = parts;
    this.roots = new WalkRoots(request, state.followed);
    this.unresponsive = new Unresponsive(parts.mounts, parts.avoided.mounts, parts.avoided.paths);
    const { entries, files, directories, bytes } = state;
    this.counts = { entries, files, directories, bytes };
    this.isTooDeep = state.isTooDeep;
    this.tree = state.tree;
    this.isBegun = state.isBegun;
    this.stack = state.stack.map(([path, depth]) => ({ path: decodeBytes(path), depth }));
    this.low = this.stack.length;
    this.unfinished = state.partial === undefined ? undefined : decodeBytes(state.partial);
  }

  /** It may take so many milliseconds in all, and should yield at the end of its turn (on the clock of `performance`). */
  resume(leftMs: number, turnEnds: number): void {
    this.deadline = performance.now() + leftMs;
    this.turnEnds = turnEnds;
  }

  /** Whether a directory is at work of which lines have been told already. */
  get isWithin(): boolean {
    return this.current?.isTold === true;
  }

  /** Where it stands; from there another walk can go on. A directory of which no line was told is then begun anew. */
  progress(): WalkProgress {
    const { current, stack, tree, isBegun, isTooDeep } = this;
    const isRedone = current !== undefined && !current.isTold;
    const keep = Math.min(this.low, stack.length);
    const pushed = [...stack.slice(keep), ...(isRedone ? [current.pending] : [])];
    this.low = stack.length;
    return {
      ...(isRedone ? current.before : this.counts),
      ...{ tree, isBegun, isTooDeep, keep, followed: this.roots.followed },
      pushed: pushed.map(({ path, depth }) => [encodeBytes(path), depth] as const),
      ...(current?.isTold && { partial: encodeBytes(current.pending.path) }),
    };
  }

  /** NDJSON, `end` last; an empty string now and then, so that the caller can take turns. */
  *lines(): Generator<string> {
    if (this.unfinished) yield this.hangs(this.unfinished, 'the rest of it was not listed');
    for (let root = this.roots.at(this.tree); root; root = this.roots.at(++this.tree)) {
      const known = this.roots.known(this.tree);
      const path = known === undefined ? yield* this.leadsTo(root) : known;
      if (path) yield* this.treeAt(path);
      this.isBegun = false;
    }
    const { files, directories, bytes } = this.counts;
    const limit = this.limit ?? (this.isTooDeep ? 'depth' : undefined);
    yield toLine({ type: 'end', files, directories, bytes, ...(limit && { limit }) });
  }

  /** Where the root at work leads; null where nothing is listed of it. */
  private *leadsTo(root: GuestPath): Generator<string, GuestPath | null> {
    const path = this.roots.isExcluded(root.bytes) ? null : yield* this.followed(root);
    this.roots.settle(this.tree, path);
    return path;
  }

  private *followed(root: GuestPath): Generator<string, GuestPath | null> {
    if (!this.request.followRoots) return root;
    if (this.unresponsive.has(root.bytes)) {
      yield this.hangs(root.bytes);
      return null;
    }
    try {
      this.parts.note(root.bytes);
      const { path, isLink, isListed } = this.roots.follow(this.tree, this.parts.root);
      if (isLink) yield toLine({ type: 'root', path: root.wire, target: path.wire });
      return isListed ? path : null;
    } catch (error) {
      yield faultOf(root.bytes, error);
      return null;
    }
  }

  private *treeAt(path: GuestPath): Generator<string> {
    const mount = this.parts.mounts.holding(path.bytes);
    if (this.unresponsive.has(path.bytes)) {
      yield this.hangs(path.bytes);
      return;
    }
    if (mount?.type === AUTOMOUNT) {
      yield leftOut(path.bytes, mount);
      return;
    }
    let top: number;
    try {
      this.parts.note(path.bytes);
      top = this.parts.root.openDirectory(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOTDIR') yield* this.single(path);
      else yield faultOf(path.bytes, error);
      return;
    }
    try {
      yield* this.below(top, path);
    } finally {
      closeSync(top);
    }
  }

  /** Paths are opened below the tree's top, which is what "one file system" is measured from. */
  private *below(top: number, { bytes }: GuestPath): Generator<string> {
    const start = bytes.equals(SLASH) ? bytes.length : bytes.length + 1;
    if (!this.isBegun) this.stack = [{ path: bytes, depth: 0 }];
    this.isBegun = true;
    for (let next = this.stack.pop(); next && !this.limit; next = this.stack.pop()) {
      this.low = Math.min(this.low, this.stack.length);
      if (this.unresponsive.has(next.path)) {
        yield this.hangs(next.path);
        continue;
      }
      this.current = { pending: next, isTold: false, below: [], before: { ...this.counts } };
      yield* this.openAndList(top, next.depth === 0 ? HERE : next.path.subarray(start), next);
      this.listed();
    }
  }

  private *openAndList(top: number, relative: Buffer, next: Pending): Generator<string> {
    let directory: number;
    try {
      this.parts.note(next.path);
      directory = openDirectory(top, relative, { oneMount: this.request.oneFileSystem });
    } catch (error) {
      if (errnoOf(error) !== 'EXDEV') yield faultOf(next.path, error);
      return;
    }
    try {
      yield* this.directory(directory, next);
    } catch (error) {
      yield faultOf(next.path, error);
    } finally {
      closeSync(directory);
    }
  }

  private *directory(directory: number, { path, depth }: Pending): Generator<string> {
    const status = FileStatus.ofDescriptor(directory);
    const { identity, dev } = status;
    if (this.parts.isOwn(identity)) return;
    this.counts.directories++;
    const survey = this.request.survey ? new SurveyLine(status, this.rootOwner()) : undefined;
    const head = directoryHead(path, dev);
    const mounted = this.parts.mounts.in(path);
    let listed: string[] = [];
    const line = () => `${head}${listed.join(',')}]${survey?.take() ?? ''}}\n`;
    const entries = readEntries(directory, this.buffer, () => this.parts.noteEntry());
    for (const entry of survey?.isRootsAlone === false ? [] : entries) {
      if (this.isOver()) break;
      this.counts.entries++;
      if (performance.now() > this.turnEnds) yield '';
      if (this.roots.hasExcludes && this.roots.isExcluded(join(path, entry.name))) continue;
      const mount = mounted?.get(entry.name.toString('latin1'));
      if (mount && this.passesBy(mount)) {
        if (this.isWorthTelling(mount)) yield leftOut(mount.path, mount);
        continue;
      }
      const kind = entry.type === ENTRY.unknown ? yield* this.find(directory, path, entry) : entry.type;
      if (kind === ENTRY.directory) yield* this.descend(path, depth, entry.name);
      if (kind === ENTRY.link && survey) yield* this.link(directory, path, entry, survey);
      const file = kind === ENTRY.regular ? yield* this.file(directory, path, entry) : undefined;
      if (file !== undefined) listed.push(file);
      if (listed.length === LIMITS.inventoryLineEntries || survey?.isFull) {
        yield this.told(line());
        listed = [];
      }
    }
    this.listed();
    yield listed.length > 0 || survey ? line() : '';
  }

  /** What is mounted there is of a type that the host does not want, or would trigger another mount. */
  private passesBy({ type }: MountPoint): boolean {
    if (this.request.oneFileSystem || type === AUTOMOUNT) return true;
    const wanted = this.request.fileSystems;
    return wanted !== undefined && !wanted.some((each) => type === each || type.startsWith(`${each}.`));
  }

  private isWorthTelling({ type }: MountPoint): boolean {
    return !this.request.oneFileSystem && (type === AUTOMOUNT || !isKernels(type));
  }

  /** The directory at work is at its end. */
  private listed(): void {
    if (this.current) this.stack.push(...this.current.below);
    this.current = undefined;
  }

  /** From here on the directory at work is not begun anew: what was found in it counts. */
  private told(line: string): string {
    if (this.current) {
      this.current.isTold = true;
      this.stack.push(...this.current.below.splice(0));
    }
    return line;
  }

  private *descend(path: Buffer, depth: number, name: Buffer): Generator<string> {
    const below = join(path, name);
    if (below.length > LIMITS.pathBytes) {
      yield faultLine(path, 'bad-name', 'a directory in it has too long a path to be listed');
    } else if (depth >= this.request.maxDepth) {
      this.isTooDeep = true;
    } else {
      this.current?.below.push({ path: below, depth: depth + 1 });
      if (this.current?.below.length === MOST_HELD_BACK) this.told('');
    }
  }

  /** The type of an entry whose file system does not tell it. */
  private *find(directory: number, path: Buffer, entry: DirectoryEntry): Generator<string, number> {
    try {
      if (!this.look(directory, path, entry)) {
        yield this.hangs(join(path, entry.name));
        return -1;
      }
      if (this.status.isDirectory) return ENTRY.directory;
      if (this.status.isLink) return ENTRY.link;
      return this.status.isRegular ? ENTRY.regular : -1;
    } catch (error) {
      yield faultOf(join(path, entry.name), error);
      return -1;
    }
  }

  private *link(directory: number, path: Buffer, entry: DirectoryEntry, survey: SurveyLine) {
    try {
      this.parts.noteEntry(entry.name);
      survey.addLink(directory, entry);
    } catch (error) {
      yield faultOf(join(path, entry.name), error);
    }
  }

  private rootOwner(): number {
    return FileStatus.ofDescriptor(this.parts.root.descriptor).uid;
  }

  /** Reads the status of an entry; false when it is one that no call comes back from. */
  private look(directory: number, path: Buffer, { name, terminated }: DirectoryEntry): boolean {
    if (this.unresponsive.hasPaths && this.unresponsive.has(join(path, name))) return false;
    this.parts.noteEntry(name);
    this.status.readAt(directory, terminated);
    return true;
  }

  /** One FileEntry as JSON. */
  private *file(
    directory: number,
    path: Buffer,
    entry: DirectoryEntry,
  ): Generator<string, string | undefined> {
    const { status } = this;
    try {
      if (!this.look(directory, path, entry)) {
        yield this.hangs(join(path, entry.name));
        return undefined;
      }
    } catch (error) {
      yield faultOf(join(path, entry.name), error);
      return undefined;
    }
    if (!status.isRegular) return undefined;
    if (path.length + 1 + entry.name.length > LIMITS.pathBytes) {
      yield faultLine(path, 'bad-name', 'a file in it has too long a path to be fetched');
      return undefined;
    }
    return this.entry(entry.name);
  }

  private entry(name: Buffer): string {
    this.counts.files++;
    this.counts.bytes = addCounts(this.counts.bytes, this.status.size);
    return entryJson(name, this.status);
  }

  /** A root that is a file. */
  private *single(path: GuestPath): Generator<string> {
    let handle: number | undefined;
    try {
      handle = this.parts.root.openHandle(path);
      this.status.readDescriptor(handle);
      if (!this.status.isRegular) return;
      const parent = path.bytes.subarray(0, Math.max(1, path.bytes.lastIndexOf(0x2f)));
      yield `${directoryHead(parent, this.status.dev)}${this.entry(path.name)}]}\n`;
    } catch (error) {
      yield faultOf(path.bytes, error);
    } finally {
      if (handle !== undefined) closeSync(handle);
    }
  }

  private isOver(): boolean {
    if (this.counts.entries >= this.request.maxEntries) this.limit ??= 'entries';
    else if (this.counts.entries % 64 === 0 && performance.now() > this.deadline) this.limit ??= 'time';
    return this.limit !== undefined;
  }

  private hangs(path: Buffer, what?: string): string {
    const detail = unresponsiveDetail(this.parts.mounts.holding(path), what);
    return faultLine(path, 'unresponsive', detail);
  }
}

const join = (path: Buffer, name: Buffer): Buffer =>
  Buffer.concat(path.at(-1) === 0x2f ? [path, name] : [path, SLASH, name]);
