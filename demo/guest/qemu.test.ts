import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { findGuestParts } from './parts.ts';
import { bootGuest } from './qemu.ts';

const { parts, missing } = findGuestParts();
const ready = need({
  what: 'a virtual machine',
  there: parts !== undefined,
  get: (missing ?? []).map(({ get }) => get).join('; '),
});

// A guest that comes up is the matter of test/guest.
describe.runIf(ready)('a guest that does not come up', () => {
  let base: string;
  let tree: string;
  let directory: string;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'lazaret-qemu-'));
    tree = join(base, 'tree');
    directory = join(base, 'guest');
    mkdirSync(tree);
    mkdirSync(directory);
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  it('says what it said last, and leaves nothing behind', async () => {
    if (!parts) return;
    await expect(bootGuest({ parts, tree, directory })).rejects.toThrow('there is no system on the disk');
    expect(existsSync(directory)).toBe(false);
  }, 120_000);

  it('is not waited for any longer when nobody wants it any more', async () => {
    if (!parts) return;
    const controller = new AbortController();
    const reason = new Error('no more');
    const prepareImage = async (): Promise<void> => {
      setImmediate(() => controller.abort(reason));
    };
    const boot = bootGuest({ parts, tree, directory, prepareImage, signal: controller.signal });
    await expect(boot).rejects.toBe(reason);
    expect(existsSync(join(directory, 'kernel.log'))).toBe(false);
  }, 120_000);
});
