/**
 * Directories of a guest as a survey lists them, and what paths come to: links are resolved here, by what the
 * listing says of them, and only along a way that nobody but root can change.
 */
import {
  decodeBytes,
  encodeBytes,
  type FileEntry,
  GuestPath,
  LIMITS,
  type WireBytes,
} from '../../../protocol/index.ts';
import type { GuestSession, ListedLine } from '../../channel/session.ts';
import { Batches } from './batches.ts';
import { pastBound, SURVEY } from './bounds.ts';

/** One directory; names and link targets hold one character a byte. */
export interface Directory {
  readonly path: string;
  readonly dev: string;
  readonly files: ReadonlyMap<string, FileEntry>;
  readonly links: ReadonlyMap<string, string>;
  /** Nobody but root can change what is in it. */
  readonly isRootsAlone: boolean;
  /** Others may put their own files there, and cannot replace root's: /tmp, /nix/store. */
  readonly isShared: boolean;
}

export interface GuestFile {
  readonly path: string;
  readonly dev: string;
  readonly entry: FileEntry;
  /** Nobody but root can change it. */
  readonly isRootsAlone: boolean;
}

const MOST_ROOTS = 64;
/** As the kernel does (MAXSYMLINKS). */
const MOST_LINKS = 40;
const STICKY = 0o1000;
const WRITABLE_BY_OTHERS = 0o022;
const ROOT = 0;

type DirectoryLine = Extract<ListedLine, { type: 'directory' }>;
type OpenDirectory = Directory & {
  readonly files: Map<string, FileEntry>;
  readonly links: Map<string, string>;
};

export class GuestTree {
  private readonly session: GuestSession;
  private readonly signal: AbortSignal;
  private readonly directories = new Map<string, Promise<Directory | undefined>>();
  private readonly listings: Batches<string, Directory | undefined>;
  private names = 0;
  private entriesLeft: number = SURVEY.entries;
  /** Who owns `/`: root, but where the guest is a folder of somebody's. */
  private rootOwner = ROOT;

  constructor(session: GuestSession, signal: AbortSignal) {
    this.session = session;
    this.signal = signal;
    this.listings = new Batches(MOST_ROOTS, (paths) => this.list(paths));
  }

  /** What is at a path without links; undefined when it is no directory. Rejects with ChannelError, SurveyError. */
  directory(path: string): Promise<Directory | undefined> {
    const known = this.directories.get(path);
    if (known) return known;
    if (this.directories.size >= SURVEY.directories) return Promise.reject(pastBound('directories'));
    const directory = isPath(path) ? this.listings.answer(path) : Promise.resolve(undefined);
    this.directories.set(path, directory);
    return directory;
  }

  /** The path that an absolute one comes to; undefined when others than root could change that. Rejects as `directory`. */
  async follow(path: string): Promise<string | undefined> {
    const rest = componentsOf(path);
    let at = '/';
    for (let links = 0; rest.length > 0; ) {
      const name = rest.shift() as string;
      const directory = await this.directory(at);
      if (!directory?.isRootsAlone && !directory?.isShared) return undefined;
      const target = directory.links.get(name);
      if (target !== undefined) {
        if (++links > MOST_LINKS) return undefined;
        rest.unshift(...componentsOf(target));
        if (target.startsWith('/')) at = '/';
      } else at = name === '..' ? parentOf(at) : join(at, name);
    }
    return at;
  }

  /** The regular file that a path comes to, in a directory of root's alone. Rejects as `directory`. */
  async file(path: string): Promise<GuestFile | undefined> {
    const found = await this.follow(path);
    if (found === undefined || !isPath(found)) return undefined;
    const parent = await this.directory(parentOf(found));
    const entry = parent?.isRootsAlone ? parent.files.get(nameOf(found)) : undefined;
    return parent && entry && this.fileOf(parent.path, parent.dev, entry, true);
  }

  /** All files and links below some directories, each with the path of its directory. Rejects as `directory`. */
  async *below(paths: readonly string[]): AsyncGenerator<DirectoryLine> {
    for (let from = 0; from < paths.length; from += MOST_ROOTS) {
      yield* this.lines(paths.slice(from, from + MOST_ROOTS).filter(isPath), SURVEY.depth);
    }
  }

  /** `isTrusted`: nobody but root can change what is in the directory, nor the way to it. */
  fileOf(directory: string, dev: string, entry: FileEntry, isTrusted: boolean): GuestFile {
    const [name, , , , , mode, uid] = entry;
    const isRootsAlone = isTrusted && this.isRoots(mode, uid);
    return { path: join(directory, latin1(name)), dev, entry, isRootsAlone };
  }

  /** Whether nobody but root can change what is in a line's directory. */
  isTrusted({ access }: DirectoryLine): boolean {
    return access !== undefined && this.isRoots(access[0], access[1]);
  }

  private isRoots(mode: number, uid: number): boolean {
    return this.isOwnedByRoot(uid) && (mode & WRITABLE_BY_OTHERS) === 0;
  }

  private isOwnedByRoot(uid: number): boolean {
    return uid === ROOT || uid === this.rootOwner;
  }

  private async list(paths: readonly string[]): Promise<(Directory | undefined)[]> {
    const found = new Map<string, OpenDirectory>();
    const asked = new Set(paths);
    for await (const line of this.lines(paths, 0)) {
      const path = latin1(line.path);
      if (!asked.has(path)) continue;
      if (path === '/') this.rootOwner = line.access?.[1] ?? ROOT;
      this.countNames(line.files.length + (line.links?.length ?? 0));
      const directory = found.get(path) ?? this.open(path, line);
      found.set(path, directory);
      for (const entry of line.files) directory.files.set(latin1(entry[0]), entry);
      for (const [name, target] of line.links ?? []) directory.links.set(latin1(name), latin1(target));
    }
    return paths.map((path) => found.get(path));
  }

  private open(path: string, line: DirectoryLine): OpenDirectory {
    const [mode, uid] = line.access ?? [0, ROOT];
    return {
      path,
      dev: line.dev,
      files: new Map(),
      links: new Map(),
      isRootsAlone: this.isTrusted(line),
      isShared: line.access !== undefined && this.isOwnedByRoot(uid) && (mode & STICKY) !== 0,
    };
  }

  private async *lines(paths: readonly string[], maxDepth: number): AsyncGenerator<DirectoryLine> {
    if (paths.length === 0) return;
    const request = {
      roots: paths.map((path) => encodeBytes(Buffer.from(path, 'latin1'))),
      excludes: [],
      oneFileSystem: false,
      maxEntries: this.entriesLeft,
      maxDepth,
      maxSeconds: SURVEY.seconds,
      survey: true,
    };
    for await (const line of this.session.listFiles(request, this.signal)) {
      if (line.type === 'directory') {
        this.entriesLeft -= line.files.length + (line.links?.length ?? 0);
        if (this.entriesLeft < 0) throw pastBound('entries');
        yield line;
      } else if (line.type === 'end') requireWhole(line.limit, maxDepth);
    }
  }

  private countNames(count: number): void {
    this.names += count;
    if (this.names > SURVEY.names) throw pastBound('names');
  }
}

/** Throws SurveyError. That there is more below directories of which only the top was asked for is no limit. */
function requireWhole(limit: 'entries' | 'depth' | 'time' | undefined, maxDepth: number): void {
  if (limit === 'entries') throw pastBound('entries');
  if (limit === 'time') throw pastBound('seconds');
  if (limit === 'depth' && maxDepth > 0) throw pastBound('depth');
}

/** One character a byte. */
export const latin1 = (bytes: WireBytes): string => decodeBytes(bytes).toString('latin1');

export const guestPath = (path: string): GuestPath => GuestPath.of(Buffer.from(path, 'latin1'));

export const join = (directory: string, name: string): string =>
  directory === '/' ? `/${name}` : `${directory}/${name}`;

export const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf('/')));

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

const componentsOf = (path: string): string[] =>
  path.split('/').filter((name) => name !== '' && name !== '.');

export const isPath = (path: string): boolean =>
  path.startsWith('/') && path.length <= LIMITS.pathBytes && !/\0|(^|\/)\.{1,2}(\/|$)/.test(path);
