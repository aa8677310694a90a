/**
 * A file that lines are appended to, and that makes way for a new one when it is full or its day (UTC) is over:
 * `events.ndjson`, then `events.ndjson.1` up to `.KEEP`, the oldest last.
 *
 * Lines are on the disk when `append` resolves, as the spool forgets them then. The file is opened for each call: who
 * moves or removes it finds a new one made, and need not tell us.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DeliveryError } from '../../error.ts';

export interface RotatedFileOptions {
  readonly path: string;
  /** It is rotated before it would grow beyond that; a single call may be larger. */
  readonly maxBytes: number;
  /** How many older files are kept. With 0 none is. */
  readonly keep: number;
  /** Rotate at the end of a day (UTC) too. */
  readonly daily?: boolean;
  /** Of new files. */
  readonly mode?: number;
}

const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
const DAY_MS = 86_400_000;
const DEFAULT_MODE = 0o640;
const LINE_FEED = 0x0a;
/** A line that was cut off is looked for in steps of that. */
const STEP = 65_536;

export class RotatedFile {
  private readonly options: RotatedFileOptions;
  private readonly clock: () => number;

  constructor(options: RotatedFileOptions, clock: () => number = Date.now) {
    this.options = options;
    this.clock = clock;
  }

  /** Appends lines, each with its line feed: all, or after a failure none. Rejects with DeliveryError `write-failed`. */
  async append(lines: readonly string[]): Promise<void> {
    const { path } = this.options;
    try {
      const bytes = Buffer.from(lines.join(''));
      if (await this.isOver(bytes.length)) await this.rotate();
      await this.write(bytes);
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause);
      throw new DeliveryError('write-failed', `${path} cannot be written: ${said}`, { cause });
    }
  }

  private async isOver(more: number): Promise<boolean> {
    const { path, maxBytes, daily } = this.options;
    const file = await stat(path).catch(ifMissing);
    if (!file || file.size === 0) return false;
    if (file.size + more > maxBytes) return true;
    return daily === true && dayOf(file.mtimeMs) < dayOf(this.clock());
  }

  private async rotate(): Promise<void> {
    const { path, keep } = this.options;
    const name = (index: number) => (index === 0 ? path : `${path}.${index}`);
    for (let index = keep; index > 0; index--) await rename(name(index - 1), name(index)).catch(ifMissing);
    if (keep === 0) await rm(path);
    await syncDirectory(dirname(path));
  }

  private async write(bytes: Buffer): Promise<void> {
    const { path, mode = DEFAULT_MODE } = this.options;
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    const isNew = (await stat(path).catch(ifMissing)) === undefined;
    const file = await open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, mode);
    try {
      if (!(await file.stat()).isFile()) throw new Error('it is no regular file');
      // Whatever the umask is.
      if (isNew) await file.chmod(mode);
      const end = await cutTornLine(file);
      await writeWhole(file, bytes, end);
    } finally {
      await file.close();
    }
    if (isNew) await syncDirectory(dirname(path));
  }
}

/** After a failure the file is as it was, so that the lines can be written again. */
async function writeWhole(file: FileHandle, bytes: Buffer, end: number): Promise<void> {
  try {
    await file.appendFile(bytes);
    await file.datasync();
  } catch (error) {
    await file.truncate(end);
    throw error;
  }
}

/** A line without an end was cut off by a crash: it comes again whole. Gives the size of the file then. */
async function cutTornLine(file: FileHandle): Promise<number> {
  const { size } = await file.stat();
  const buffer = Buffer.alloc(STEP);
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - (end === size ? 1 : STEP));
    const { bytesRead } = await file.read(buffer, 0, end - start, start);
    const at = buffer.subarray(0, bytesRead).lastIndexOf(LINE_FEED);
    if (at >= 0) {
      if (start + at + 1 < size) await file.truncate(start + at + 1);
      return start + at + 1;
    }
    end = start;
  }
  if (size > 0) await file.truncate(0);
  return 0;
}

/** So that a power cut does not take the new name away. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const dayOf = (milliseconds: number): number => Math.floor(milliseconds / DAY_MS);

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
