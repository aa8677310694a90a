import { describe, expect, it } from 'vitest';
import { GuestPath, LIMITS } from '../../protocol/index.ts';
import { vm } from '../../test/records.ts';
import { evilDetector } from '../../test/scan/evil-detector.ts';
import { defaults } from '../config/index.ts';
import { AnswerKeys } from './answer-keys.ts';
import { HeldAnswers, SharedAnswers } from './answers.ts';
import { ContentJudge } from './contents.ts';
import { Detection } from './detect.ts';
import type { FileLine, Listed, ListedFile } from './inventory.ts';
import { KnownGuest } from './known-guest.ts';
import { Recall } from './recall.ts';
import { inRequests, selectWanted } from './select.ts';
import { Steadiness } from './steadiness.ts';
import { Tally } from './tally.ts';

const TIME = '1.000000000';
const file = (path: string, size: number): ListedFile => ({
  path: GuestPath.of(path),
  facts: { path, size, mode: 0, uid: 0, gid: 0, mtime: TIME },
  entry: [path.slice(1), '7', size, TIME, TIME, 0, 0, 0, 1],
});
const line = (...files: ListedFile[]): { line: FileLine } => ({
  line: { directory: GuestPath.of('/'), dev: '1', digest: '0'.repeat(32), files },
});

/** Of a guest of which nothing is known. */
async function select(lines: readonly Listed[], wants = (path: string) => path !== '/unwanted') {
  const detector = evilDetector({
    wants: (prospect) => prospect.kind === 'file' && wants(prospect.facts.path),
  });
  const tally = new Tally();
  const detectors = [{ id: 'evil', detector }];
  const [detection, keys, clean] = [new Detection(detectors), new AnswerKeys(detectors), new HeldAnswers()];
  const guest = new KnownGuest(undefined, {
    vm: 'guest',
    generation: Buffer.alloc(16),
    steadiness: new Steadiness(vm().features as NonNullable<ReturnType<typeof vm>['features']>, 0),
    policy: defaults().policy.knownContent,
    isFresh: false,
    random: () => 0,
    now: 0,
  });
  const judge = new ContentJudge({ detection, keys, clean, shared: new SharedAnswers() }, 1, 1000);
  const recall = new Recall({ guest, clean, keys, judge, tally, digests: [] });
  async function* listed(): AsyncGenerator<Listed> {
    yield* lines;
  }
  const signal = new AbortController().signal;
  const parts = { detection, guest, recall, tally, maxFileBytes: 1000 };
  const batches = await Array.fromAsync(selectWanted(listed(), parts, signal));
  return {
    batches: batches.map((batch) => batch.map(({ facts }) => facts.path)),
    items: batches.flat(),
    tally,
  };
}

describe('selecting', () => {
  it('passes on what a detector wants, with who wants it', async () => {
    const { items } = await select([line(file('/a', 1000))]);
    const { path, facts } = file('/a', 1000);
    expect(items).toMatchObject([{ path, facts, request: { path: '/a' }, interest: '+evil' }]);
  });

  it('counts what nobody wants as done, and what is too large as unscanned', async () => {
    const { batches, tally } = await select([
      line(file('/unwanted', 5), file('/large', 1001), file('/a', 2)),
      { missed: [{ path: '/locked', reason: 'unreadable' }] },
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
    const { batches } = await select([line(...many)]);
    expect(batches.map((batch) => batch.length)).toEqual([512, 512, 1]);
    const large = [file('/a', 150), file('/b', 100), file('/c', 300), file('/d', 1)];
    const sized = await select([line(...large)]);
    expect(sized.batches).toEqual([['/a', '/b'], ['/c'], ['/d']]);
    expect((await select([])).batches).toEqual([]);
  });

  it('makes batches of long paths that fit one message', async () => {
    const names = Array.from({ length: 600 }, (_, number) => `/${String(number).padEnd(250, '\x01')}`);
    const deep = names.map((name) => ({ ...file(name, 0), path: GuestPath.of(name.repeat(16)) }));
    const request = ({ path }: { path: GuestPath }) => ({ request: { path: path.wire } });
    const items = deep.map((each) => ({ ...each, ...request(each), interest: '' }));
    const batches = await Array.fromAsync(inRequests(items, 2 ** 28));
    expect(batches.flat()).toHaveLength(600);
    for (const batch of batches) {
      const message = JSON.stringify({ files: batch.map((each) => each.request), maxFileBytes: 1 });
      expect(message.length).toBeLessThan(LIMITS.messageBytes);
    }
  });
});
