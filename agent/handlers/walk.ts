/** A walk over the trees below some roots, line by line as the host reads them. */
import { closeSync } from 'node:fs';
import {
  addCounts,
  encodeBytes,
  GuestPath,
  type InventoryLine,
  type InventoryRequest,
  LIMITS,
} from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { openDirectory } from '../linux/calls.ts';
import { type DirectoryEntry, ENTRY, entryBuffer, readEntries } from '../linux/directory.ts';
import { errnoOf } from '../linux/error.ts';
import type { Root } from '../linux/root.ts';
import { FileStatus } from '../linux/status.ts';
import { follow } from './follow.ts';
import { SurveyLine } from './survey-line.ts';

type Fault = Extract<InventoryLine, { type: 'fault' }>['fault'];

/** A directory that is still to be listed: its path in the guest, and where that stands below its tree's top. */
interface Pending {
  readonly path: Buffer;
  readonly depth: number;
}

const SLASH = Buffer.from('/');
const HERE = Buffer.from('.');
const PLAIN_NAME = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

export class Walk {
  private readonly request: InventoryRequest;
  private readonly root: Root;
  /** Whether a directory (`dev:ino`) is the agent's own, and left out. */
  private readonly isOwn: (identity: string) => boolean;
  private readonly roots: readonly GuestPath[];
  private readonly excludes: ReadonlySet<string>;
  /** The root that is being listed where it leads: what is excluded by the one name is so by the other. */
  private alias: { readonly root: string; readonly target: string } | undefined;
  /** Where roots lead that are links. */
  private readonly targets = new Set<string>();
  /** When its time is over, and how much of it is left while it rests. */
  private deadline = 0;
  private leftMs: number;
  private readonly status = new FileStatus();
  /** One directory is read at a time. */
  private readonly buffer = entryBuffer();
  private entries = 0;
  private files = 0;
  private directories = 0;
  private bytes = 0;
  private limit: 'entries' | 'time' | undefined;
  private isTooDeep = false;

  /** Throws ProtocolError when a path of the request cannot name anything. */
  constructor(request: InventoryRequest, root: Root, isOwn: (identity: string) => boolean) {
    this.request = request;
    this.root = root;
    this.isOwn = isOwn;
    this.roots = request.roots.map((path) => withoutTail(GuestPath.of(path)));
    this.excludes = new Set(request.excludes.map((path) => keyOf(withoutTail(GuestPath.of(path)).bytes)));
    this.leftMs = request.maxSeconds * 1000;
  }

  /** Its time runs from here to `pause`. */
  resume(): void {
    this.deadline = performance.now() + this.leftMs;
  }

  pause(): void {
    this.leftMs = this.deadline - performance.now();
  }

  /** NDJSON, `end` last; an empty string now and then, so that the caller can take turns. */
  *lines(): Generator<string> {
    for (const root of this.roots) {
      if (this.isExcluded(root.bytes)) continue;
      this.alias = undefined;
      const path = this.request.followRoots ? yield* this.followed(root) : root;
      if (path) yield* this.tree(path);
    }
    const { files, directories, bytes } = this;
    const limit = this.limit ?? (this.isTooDeep ? 'depth' : undefined);
    yield toLine({ type: 'end', files, directories, bytes, ...(limit && { limit }) });
  }

  /** Where a root leads; undefined where that is left out, is a root by itself, or nowhere. */
  private *followed(root: GuestPath): Generator<string, GuestPath | undefined> {
    let target: GuestPath;
    try {
      target = follow(this.root, root);
    } catch (error) {
      yield this.fault(root.bytes, error);
      return undefined;
    }
    if (target.equals(withoutRepeats(root))) return root;
    yield toLine({ type: 'root', path: root.wire, target: target.wire });
    this.alias = { root: keyOf(root.bytes), target: target.bytes.equals(SLASH) ? '' : keyOf(target.bytes) };
    const isRoot = this.targets.has(keyOf(target.bytes)) || this.roots.some((one) => one.equals(target));
    this.targets.add(keyOf(target.bytes));
    return isRoot || this.isBelowExcluded(target.bytes) ? undefined : target;
  }

  private *tree(path: GuestPath): Generator<string> {
    let top: number;
    try {
      top = this.root.openDirectory(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOTDIR') yield* this.single(path);
      else yield this.fault(path.bytes, error);
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
    const stack: Pending[] = [{ path: bytes, depth: 0 }];
    for (let next = stack.pop(); next && !this.limit; next = stack.pop()) {
      const relative = next.depth === 0 ? HERE : next.path.subarray(start);
      let directory: number;
      try {
        directory = openDirectory(top, relative, { oneMount: this.request.oneFileSystem });
      } catch (error) {
        if (errnoOf(error) !== 'EXDEV') yield this.fault(next.path, error);
        continue;
      }
      try {
        yield* this.directory(directory, next, stack);
      } catch (error) {
        yield this.fault(next.path, error);
      } finally {
        closeSync(directory);
      }
    }
  }

  private *directory(directory: number, { path, depth }: Pending, stack: Pending[]): Generator<string> {
    const status = FileStatus.ofDescriptor(directory);
    const { identity, dev } = status;
    if (this.isOwn(identity)) return;
    this.directories++;
    const survey = this.request.survey ? new SurveyLine(status, this.rootOwner()) : undefined;
    const head = `{"type":"directory","path":${JSON.stringify(encodeBytes(path))},"dev":"${dev}","files":[`;
    let listed: string[] = [];
    const line = () => `${head}${listed.join(',')}]${survey?.take() ?? ''}}\n`;
    for (const entry of survey?.isRootsAlone === false ? [] : readEntries(directory, this.buffer)) {
      if (this.isOver()) break;
      this.entries++;
      if (this.excludes.size > 0 && this.isExcluded(join(path, entry.name))) continue;
      const kind = entry.type === ENTRY.unknown ? yield* this.find(directory, path, entry) : entry.type;
      if (kind === ENTRY.directory) yield* this.descend(path, depth, entry.name, stack);
      if (kind === ENTRY.link && survey) yield* this.link(directory, path, entry, survey);
      const file = kind === ENTRY.regular ? yield* this.file(directory, path, entry) : undefined;
      if (file !== undefined) listed.push(file);
      if (listed.length === LIMITS.inventoryLineEntries || survey?.isFull) {
        yield line();
        listed = [];
      }
    }
    yield listed.length > 0 || survey ? line() : '';
  }

  private *descend(path: Buffer, depth: number, name: Buffer, stack: Pending[]): Generator<string> {
    const below = join(path, name);
    if (below.length > LIMITS.pathBytes) {
      yield this.faultLine(path, 'bad-name', 'a directory in it has too long a path to be listed');
    } else if (depth >= this.request.maxDepth) {
      this.isTooDeep = true;
    } else {
      stack.push({ path: below, depth: depth + 1 });
    }
  }

  /** The type of an entry whose file system does not tell it. */
  private *find(directory: number, path: Buffer, entry: DirectoryEntry): Generator<string, number> {
    try {
      this.status.readAt(directory, entry.terminated);
      if (this.status.isDirectory) return ENTRY.directory;
      if (this.status.isLink) return ENTRY.link;
      return this.status.isRegular ? ENTRY.regular : -1;
    } catch (error) {
      yield this.fault(join(path, entry.name), error);
      return -1;
    }
  }

  private *link(directory: number, path: Buffer, entry: DirectoryEntry, survey: SurveyLine) {
    try {
      survey.addLink(directory, entry);
    } catch (error) {
      yield this.fault(join(path, entry.name), error);
    }
  }

  private rootOwner(): number {
    return FileStatus.ofDescriptor(this.root.descriptor).uid;
  }

  /** One FileEntry as JSON. */
  private *file(
    directory: number,
    path: Buffer,
    entry: DirectoryEntry,
  ): Generator<string, string | undefined> {
    const { status } = this;
    try {
      status.readAt(directory, entry.terminated);
    } catch (error) {
      yield this.fault(join(path, entry.name), error);
      return undefined;
    }
    if (!status.isRegular) return undefined;
    if (path.length + 1 + entry.name.length > LIMITS.pathBytes) {
      yield this.faultLine(path, 'bad-name', 'a file in it has too long a path to be fetched');
      return undefined;
    }
    return this.entry(entry.name);
  }

  private entry(name: Buffer): string {
    const { status } = this;
    const size = status.wireSize;
    this.files++;
    this.bytes = addCounts(this.bytes, status.size);
    return `[${nameJson(name)},"${status.ino}",${typeof size === 'number' ? size : `"${size}"`},"${status.mtime}","${status.ctime}",${status.mode},${status.uid},${status.gid},${status.links}]`;
  }

  /** A root that is a file. */
  private *single(path: GuestPath): Generator<string> {
    let handle: number | undefined;
    try {
      handle = this.root.openHandle(path);
      this.status.readDescriptor(handle);
      if (!this.status.isRegular) return;
      const parent = path.bytes.subarray(0, Math.max(1, path.bytes.lastIndexOf(0x2f)));
      const head = `{"type":"directory","path":${JSON.stringify(encodeBytes(parent))},"dev":"${this.status.dev}"`;
      yield `${head},"files":[${this.entry(path.name)}]}\n`;
    } catch (error) {
      yield this.fault(path.bytes, error);
    } finally {
      if (handle !== undefined) closeSync(handle);
    }
  }

  private isOver(): boolean {
    if (this.entries >= this.request.maxEntries) this.limit ??= 'entries';
    else if (this.entries % 64 === 0 && performance.now() > this.deadline) this.limit ??= 'time';
    return this.limit !== undefined;
  }

  private isExcluded(path: Buffer): boolean {
    const key = keyOf(path);
    if (this.excludes.has(key)) return true;
    return (
      this.alias !== undefined && this.excludes.has(this.alias.root + key.slice(this.alias.target.length))
    );
  }

  /** A person who names a link does not say that what is excluded where it leads shall be looked at. */
  private isBelowExcluded(path: Buffer): boolean {
    for (let end = path.length; end > 0; end = path.lastIndexOf(0x2f, end - 1)) {
      if (this.isExcluded(path.subarray(0, end))) return true;
    }
    return this.isExcluded(SLASH);
  }

  private fault(path: Buffer, error: unknown): string {
    const code = errnoOf(error);
    const isGone = code === 'ENOENT' || code === 'ENOTDIR';
    const detail = messageOf(error).slice(0, 256);
    return this.faultLine(nameable(path), isGone ? 'vanished' : 'unreadable', detail);
  }

  private faultLine(path: Buffer, fault: Fault, detail: string): string {
    return toLine({ type: 'fault', path: encodeBytes(path), fault, detail });
  }
}

const toLine = (line: InventoryLine): string => `${JSON.stringify(line)}\n`;

/** The path without slashes at its end, of which `/` keeps one. */
function withoutTail(path: GuestPath): GuestPath {
  let end = path.bytes.length;
  while (end > 1 && path.bytes[end - 1] === 0x2f) end--;
  return GuestPath.of(path.bytes.subarray(0, end));
}

function withoutRepeats(path: GuestPath): GuestPath {
  return GuestPath.of(Buffer.from(path.bytes.toString('latin1').replace(/\/{2,}/g, '/'), 'latin1'));
}

const keyOf = (path: Buffer): string => path.toString('latin1');

/** What is too long to be told stands for itself by the directory that it lies in. */
const nameable = (path: Buffer): Buffer =>
  path.length <= LIMITS.pathBytes ? path : path.subarray(0, Math.max(1, path.lastIndexOf(SLASH)));

const join = (path: Buffer, name: Buffer): Buffer =>
  Buffer.concat(path.at(-1) === 0x2f ? [path, name] : [path, SLASH, name]);

/** Most names need neither decoding nor escaping. */
function nameJson(name: Buffer): string {
  const text = name.toString('latin1');
  return PLAIN_NAME.test(text) ? `"${text}"` : JSON.stringify(encodeBytes(name));
}
