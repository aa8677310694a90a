import { describe, expect, it } from 'vitest';
import { GuestPath } from '../../protocol/index.ts';
import { evilDetector } from '../../test/scan/evil-detector.ts';
import { Detection } from './detect.ts';
import type { Listed } from './inventory.ts';
import { selectWanted } from './select.ts';
import { Tally } from './tally.ts';

const file = (path: string, size: number): Listed['files'][number] => ({
  path: GuestPath.of(path),
  facts: { path, size, mode: 0, uid: 0, gid: 0, mtime: '0.000000000' },
});

async function select(lines: readonly Listed[], wants = (path: string) => path !== '/unwanted') {
  const detector = evilDetector({
    wants: (prospect) => prospect.kind === 'file' && wants(prospect.facts.path),
  });
  const tally = new Tally();
  const detection = new Detection([{ id: 'evil', detector }]);
  async function* listed(): AsyncGenerator<Listed> {
    yield* lines;
  }
  const batches = await Array.fromAsync(selectWanted(listed(), detection, 1000, tally));
  return {
    batches: batches.map((batch) => batch.map(({ facts }) => facts.path)),
    items: batches.flat(),
    tally,
  };
}

describe('selecting', () => {
  it('passes on what a detector wants, with who wants it', async () => {
    const { items } = await select([{ files: [file('/a', 1000)], missed: [] }]);
    expect(items).toEqual([{ ...file('/a', 1000), request: { path: '/a' }, interest: '+evil' }]);
  });

  it('counts what nobody wants as done, and what is too large as unscanned', async () => {
    const { batches, tally } = await select([
      { files: [file('/unwanted', 5), file('/large', 1001), file('/a', 2)], missed: [] },
      { files: [], missed: [{ path: '/locked', reason: 'unreadable' }] },
    ]);
    expect(batches).toEqual([['/a']]);
    expect(tally.unscanned).toMatchObject([
      { path: '/large', reason: 'too-large' },
      { path: '/locked', reason: 'unreadable' },
    ]);
    expect(tally.snapshot('scanning')).toMatchObject({
      filesListed: 3,
      bytesListed: 1008,
      filesDone: 2,
      bytesDone: 1006,
      listingComplete: true,
    });
  });

  it('makes batches that fit one request', async () => {
    const many = Array.from({ length: 1025 }, (_, number) => file(`/f${number}`, 0));
    const { batches } = await select([{ files: many, missed: [] }]);
    expect(batches.map((batch) => batch.length)).toEqual([512, 512, 1]);
    const large = [file('/a', 200), file('/b', 100), file('/c', 300), file('/d', 1)];
    const sized = await select([{ files: large, missed: [] }]);
    expect(sized.batches).toEqual([['/a', '/b'], ['/c'], ['/d']]);
    expect((await select([])).batches).toEqual([]);
  });
});
