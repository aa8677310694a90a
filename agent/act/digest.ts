import { createHash } from 'node:crypto';
import { read } from 'node:fs';
import { promisify } from 'node:util';

const readAsync = promisify(read);
const BUFFER_BYTES = 256 * 1024;

/** SHA-256 of an open file from its start, lower-case hex. */
export async function digest(descriptor: number): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  for (let at = 0; ; ) {
    const { bytesRead } = await readAsync(descriptor, buffer, 0, buffer.length, at);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}
