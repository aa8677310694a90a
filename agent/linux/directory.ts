/** Entries of a directory as getdents64(2) lays them out (struct linux_dirent64). */
import { getdents } from './calls.ts';
import { nativeBuffer } from './memory.ts';

const BUFFER_BYTES = 64 * 1024;
const RECORD_LENGTH = 16;
const TYPE = 18;
const NAME = 19;

/** d_type, and what it stands for. */
export const ENTRY = { unknown: 0, directory: 4, regular: 8, link: 10 } as const;

export interface DirectoryEntry {
  readonly type: number;
  readonly name: Buffer;
  /** The same with its NUL, as a system call takes it. Both are views, valid until the next entry is asked for. */
  readonly terminated: Buffer;
}

export const entryBuffer = (): Buffer => nativeBuffer(BUFFER_BYTES);

/** All entries but `.` and `..`. `before` each call for more of them. Throws SystemError. */
export function* readEntries(
  directory: number,
  buffer = entryBuffer(),
  before: () => void = () => undefined,
): Generator<DirectoryEntry> {
  const next = (): number => {
    before();
    return getdents(directory, buffer);
  };
  for (let filled = next(); filled > 0; filled = next()) {
    for (let at = 0; at < filled; ) {
      const end = at + buffer.readUInt16LE(at + RECORD_LENGTH);
      const nul = buffer.indexOf(0, at + NAME);
      if (!isDots(buffer, at + NAME, nul)) {
        yield {
          type: buffer[at + TYPE] ?? ENTRY.unknown,
          name: buffer.subarray(at + NAME, nul),
          terminated: buffer.subarray(at + NAME, nul + 1),
        };
      }
      at = end;
    }
  }
}

function isDots(buffer: Buffer, from: number, end: number): boolean {
  return buffer[from] === 0x2e && (end - from === 1 || (end - from === 2 && buffer[from + 1] === 0x2e));
}
