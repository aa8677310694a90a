import { describe, expect, it } from 'vitest';
import { type FileEntry, GuestPath, MOST_COUNTED } from '../../protocol/index.ts';
import type { FileLine, ListedFile } from './inventory.ts';
import { OpenLine } from './line.ts';

const GENERATION = Buffer.alloc(16, 1);
const TIME = '1700000000.123456789';

function listed(name: string, size = 5): ListedFile {
  const path = GuestPath.of(`/d/${name}`);
  const entry: FileEntry = [name, '7', size, TIME, TIME, 0o100644, 0, 0, 1];
  return { path, entry, facts: { path: path.display(), size, mode: 0o644, uid: 0, gid: 0, mtime: TIME } };
}

const lineOf = (files: readonly ListedFile[], over: Partial<FileLine> = {}): FileLine => ({
  ...{ directory: GuestPath.of('/d'), dev: '1', digest: 'ab'.repeat(16), files },
  ...over,
});

/** What is kept of a line whose files were all found clean. */
function keptOf(source: FileLine) {
  const done: OpenLine[] = [];
  const line = new OpenLine(source, (one) => done.push(one));
  for (const file of source.files) {
    line.settle(line.file(file), { sha256: 'cd'.repeat(32), isClaimed: false });
  }
  return done[0]?.kept(GENERATION);
}

describe('a line whose files are all clean', () => {
  it('is kept as a whole', () => {
    expect(keptOf(lineOf([listed('a'), listed('b')]))).toMatchObject({
      generation: GENERATION,
      files: 2,
      bytes: 10,
    });
  });

  it('is not when some of its entries were left out: the next scan must hear of them again', () => {
    const kept = keptOf(lineOf([listed('a')], { isShort: true }));
    expect(kept).toMatchObject({ generation: undefined, files: 1 });
    expect(kept?.entries).toHaveLength(48);
  });

  it('counts its bytes up to what can be counted', () => {
    const huge = listed('a', MOST_COUNTED);
    expect(keptOf(lineOf([huge, huge]))).toMatchObject({ bytes: MOST_COUNTED });
  });
});
