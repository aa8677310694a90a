import { type FileEntry, GuestPath, type InventoryLine } from '../../protocol/index.ts';
import type { FileFacts } from '../api/index.ts';
import type { GuestSession } from '../channel/session.ts';
import type { Unscanned } from './report.ts';

/** One regular file as the listing saw it. */
export interface FileItem {
  readonly path: GuestPath;
  readonly facts: FileFacts;
}

/** What one line of the listing told: files to be looked at, and places that could not be listed. */
export interface Listed {
  readonly files: readonly FileItem[];
  readonly missed: readonly Unscanned[];
}

export interface InventoryPolicy {
  readonly roots: readonly GuestPath[];
  readonly excludes: readonly GuestPath[];
  readonly oneFileSystem: boolean;
  readonly maxEntries: number;
  readonly maxDepth: number;
  readonly maxSeconds: number;
}

export async function* listFiles(
  session: GuestSession,
  policy: InventoryPolicy,
  signal: AbortSignal,
): AsyncGenerator<Listed> {
  const request = {
    ...policy,
    roots: policy.roots.map((path) => path.wire),
    excludes: policy.excludes.map((path) => path.wire),
  };
  for await (const line of session.listFiles(request, signal)) yield readLine(line);
}

function readLine(line: InventoryLine): Listed {
  switch (line.type) {
    case 'directory': {
      const directory = GuestPath.of(line.path);
      return { files: line.files.map((entry) => readEntry(directory, entry)), missed: [] };
    }
    case 'fault': {
      const reason = line.fault === 'vanished' ? 'vanished' : 'unreadable';
      return {
        files: [],
        missed: [{ path: GuestPath.of(line.path).display(), reason, detail: line.detail }],
      };
    }
    case 'end':
      return { files: [], missed: line.limit ? [cutShort(line.limit)] : [] };
  }
}

function readEntry(directory: GuestPath, [name, , size, mtime, , mode, uid, gid]: FileEntry): FileItem {
  const path = directory.child(name);
  return { path, facts: { path: path.display(), size, mtime, mode, uid, gid } };
}

/** What lies past the limit was not even seen, so the guest as a whole is not clean. */
function cutShort(limit: string): Unscanned {
  return {
    path: '/',
    reason: 'engine-limit',
    detail: `the listing ended at its limit of ${limit}; the rest was not seen`,
  };
}
