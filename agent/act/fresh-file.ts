/** A new file in a workplace: written and made durable before anybody can see it. */
import { closeSync, constants, fsync, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { OutcomeError } from '../error.ts';
import { openBeneath } from '../linux/calls.ts';
import { SparseWriter } from '../linux/sparse.ts';
import type { Work } from './work.ts';
import type { Workplace } from './workplace.ts';

const readAsync = promisify(read);
const syncAsync = promisify(fsync);
const BUFFER_BYTES = 256 * 1024;
const { O_WRONLY, O_CREAT, O_EXCL } = constants;

/** Makes the workplace's file from staged content; `dress` gives it owner, mode and the rest. */
export async function makeFile(
  workplace: Workplace,
  hash: string,
  work: Work,
  dress: (descriptor: number) => void,
): Promise<void> {
  const staged = work.staged(hash);
  if (staged === undefined) throw new OutcomeError('not-staged', `stage the content ${hash} first`);
  const source = openSync(staged, 'r');
  try {
    const file = openBeneath(workplace.descriptor, workplace.file, O_WRONLY | O_CREAT | O_EXCL, {
      mode: 0o600,
    });
    try {
      await copy(source, file);
      dress(file);
      await syncAsync(file);
    } catch (error) {
      workplace.discardFile();
      throw error;
    } finally {
      closeSync(file);
    }
  } finally {
    closeSync(source);
  }
}

async function copy(source: number, file: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  const writer = new SparseWriter(file);
  for (;;) {
    const { bytesRead } = await readAsync(source, buffer, 0, buffer.length, null);
    if (bytesRead === 0) return writer.end();
    await writer.write(buffer.subarray(0, bytesRead));
  }
}
