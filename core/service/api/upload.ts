/** A pack on its way in: to a file of its own that only we can read, as it comes and never whole in memory. */
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ApiError } from '../error.ts';

/** An empty, private directory for uploads: what a process left there that was killed meanwhile is gone. */
export async function prepareUploads(directory: string): Promise<string> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

/**
 * Hands the file to `use` and removes it afterwards. Rejects with ApiError `too-large`, or `bad-request` when the body
 * broke off, or as `use` does.
 */
export async function withUpload<Result>(
  body: Readable,
  { directory, most }: { readonly directory: string; readonly most: number },
  use: (path: string) => Promise<Result>,
): Promise<Result> {
  const place = await mkdtemp(join(directory, 'lazaret-upload-'));
  try {
    const path = join(place, 'pack.tar.zst');
    await receive(body, most, path);
    return await use(path);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

async function receive(body: Readable, most: number, path: string): Promise<void> {
  try {
    await pipeline(bounded(body, most), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
  } catch (cause) {
    if (body.readableEnded || !body.destroyed || cause instanceof ApiError) throw cause;
    throw new ApiError('bad-request', 'the pack broke off before its end: send it again', { cause });
  }
}

/**
 * Counts what came, not what was promised. What is left of a body that is too large is read by Node and dropped, so that
 * its sender gets the answer that says so instead of a connection that is cut.
 */
async function* bounded(body: Readable, most: number): AsyncGenerator<Buffer> {
  let left = most;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    left -= chunk.length;
    if (left < 0) throw new ApiError('too-large', `a pack may have at most ${most} bytes: split it`);
    yield chunk;
  }
}
