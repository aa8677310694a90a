import { displayText, displayWire, type FileEntry, GuestPath } from '../../protocol/index.ts';
import type { FileFacts } from '../api/index.ts';
import type { GuestSession, KnownLines, ListedLine } from '../channel/session.ts';
import type { FollowedRoot, LeftOut, Unscanned } from './report.ts';

/** One regular file as the listing saw it. */
export interface FileItem {
  readonly path: GuestPath;
  readonly facts: FileFacts;
}

export type ListedFile = FileItem & { readonly entry: FileEntry };

/** One line of the listing that tells of files. */
export interface FileLine {
  readonly directory: GuestPath;
  readonly dev: string;
  /** Stands for all that the line says: 32 hex digits. */
  readonly digest: string;
  readonly files: readonly ListedFile[];
  /** It had entries that were left out, so it stands for less than it says. */
  readonly isShort?: true;
}

/** What one line of the listing told. */
export interface Listed {
  /** Files to be looked at. */
  readonly line?: FileLine;
  /** Digests of lines that are as they were. */
  readonly known?: readonly string[];
  /** Places that could not be listed. */
  readonly missed?: readonly Unscanned[];
  /** A root that led elsewhere. */
  readonly followed?: FollowedRoot;
  /** A file system that policy leaves out. */
  readonly leftOut?: LeftOut;
  /** It ended at a limit: there is more that was not seen. */
  readonly isCut?: boolean;
}

export interface InventoryPolicy {
  readonly roots: readonly GuestPath[];
  readonly excludes: readonly GuestPath[];
  readonly oneFileSystem: boolean;
  /** Types that are listed; what is mounted of another one is left out. Default: all. */
  readonly fileSystems?: string[];
  readonly maxEntries: number;
  readonly maxDepth: number;
  readonly maxSeconds: number;
}

/** The files of a guest; of lines that are among the `known` ones, their digests alone. */
export async function* listFiles(
  session: GuestSession,
  policy: InventoryPolicy,
  signal: AbortSignal,
  known?: KnownLines,
): AsyncGenerator<Listed> {
  const request = {
    ...policy,
    roots: policy.roots.map((path) => path.wire),
    excludes: policy.excludes.map((path) => path.wire),
    followRoots: true,
  };
  for await (const line of session.listFiles(request, signal, known)) yield readLine(line);
}

function readLine(line: ListedLine): Listed {
  switch (line.type) {
    case 'directory': {
      const directory = GuestPath.of(line.path);
      const files = line.files.map((entry) => readEntry(directory, entry));
      const { dev, digest } = line;
      return { line: { directory, dev, digest, files, ...(line.misfits && { isShort: true as const }) } };
    }
    case 'known':
      return { known: line.digests };
    case 'root':
      return {
        followed: {
          path: GuestPath.of(line.path).display(),
          target: GuestPath.of(line.target).display(),
        },
      };
    case 'fault': {
      const { fault, detail } = line;
      const reason = fault === 'bad-name' ? 'unreadable' : fault;
      return { missed: [{ path: displayWire(line.path), reason, detail }] };
    }
    case 'left-out':
      return { leftOut: { path: GuestPath.of(line.path).display(), type: displayText(line.fileSystem) } };
    case 'end':
      return line.limit ? { missed: [cutShort(line.limit)], isCut: true } : {};
  }
}

function readEntry(directory: GuestPath, entry: FileEntry): ListedFile {
  const [name, , size, mtime, , mode, uid, gid] = entry;
  const path = directory.child(name);
  return { path, facts: { path: path.display(), size, mtime, mode, uid, gid }, entry };
}

/** What lies past the limit was not even seen, so the guest as a whole is not clean. */
function cutShort(limit: string): Unscanned {
  return {
    path: '/',
    reason: 'engine-limit',
    detail: `the listing ended at its limit of ${limit}; the rest was not seen`,
  };
}
