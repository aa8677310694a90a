/** One file of which a guest says what cannot be costs that file: all others come, and the session goes on. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GuestSession } from '../../core/channel/session.ts';
import {
  ALLOWANCE,
  ContentFailure,
  encodeRecord,
  LIMITS,
  MOST_COUNTED,
  parseMessage,
  RECORD,
  ROUTES,
} from '../../protocol/index.ts';
import { entry, factsOf, fileRecords, type Handler, ScriptedAgent, sendLines } from './scripted-agent.ts';
import { agentIdentity, collect, freshPath, keysOf, logInTo } from './setting.ts';

const keys = keysOf(agentIdentity);
const INVENTORY = {
  ...{ roots: ['/'], excludes: [], oneFileSystem: true },
  ...{ maxEntries: 100_000, maxDepth: 64, maxSeconds: 60 },
};
const END = { type: 'end', files: 0, directories: 0, bytes: 0 };
const GOOD = entry('good', 5);
const directory = (files: unknown[], path: unknown = '/d', dev: unknown = '1') =>
  ({ type: 'directory', path, dev, files }) as const;

/** What `ask` gets of an agent whose route answers so; the session must still work afterwards. */
async function askedOf<Result>(
  route: string,
  handler: Handler,
  ask: (session: GuestSession) => Promise<Result>,
): Promise<Result> {
  const path = freshPath();
  await using _agent = await ScriptedAgent.start(path, { keys, routes: { [route]: handler } });
  const session = await logInTo(path);
  const result = await ask(session);
  await collect(session.listProcesses());
  await session.close();
  return result;
}

const listed = (...lines: unknown[]) =>
  askedOf(
    ROUTES.files,
    (stream) => sendLines(stream, [...lines, END]),
    (session) => collect(session.listFiles(INVENTORY)),
  );
const filesIn = (lines: Awaited<ReturnType<typeof listed>>) =>
  lines.flatMap((line) => (line.type === 'directory' ? line.files : []));
const faultsIn = (lines: Awaited<ReturnType<typeof listed>>) =>
  lines.flatMap((line) => (line.type === 'fault' ? [line] : []));

/** An entry with another value in one place. */
const withField = (place: number, value: unknown) => entry('bad', 5).with(place, value as never);

describe('an entry of a listing', () => {
  it.each<[string, unknown, string]>([
    ['a negative size', withField(2, -1), '/d/bad'],
    ['a size that was rounded', withField(2, 2 ** 60), '/d/bad'],
    ['a size of no digits', withField(2, '1e9'), '/d/bad'],
    ['an inode that is a number', withField(1, 7), '/d/bad'],
    ['a time without its fraction', withField(3, '1700000000'), '/d/bad'],
    ['a time of twenty digits', withField(3, `${'9'.repeat(20)}.000000000`), '/d/bad'],
    ['a negative owner', withField(6, -1), '/d/bad'],
    ['an owner of 33 bits', withField(6, 2 ** 32), '/d/bad'],
    ['a field too few', entry('bad', 5).slice(0, -1), '/d/bad'],
    ['a field too many', [...entry('bad', 5), 1], '/d/bad'],
    ['a slash in its name', entry('a/b', 1), '/d'],
    ['a name that climbs', entry('..', 1), '/d'],
    ['an empty name', entry('', 1), '/d'],
    ['a lone surrogate in its name', entry('\ud800', 1), '/d'],
    ['a name that is none', withField(0, 17), '/d'],
    ['too long a path', entry('n'.repeat(LIMITS.pathBytes), 1), '/d'],
    ['no fields', null, '/d'],
  ])('with %s costs itself, by its path or that of its directory', async (_name, bad, path) => {
    const lines = await listed(directory([GOOD, bad, GOOD]), directory([GOOD], '/e'));
    expect(filesIn(lines)).toEqual([GOOD, GOOD, GOOD]);
    expect(faultsIn(lines)).toEqual([
      { type: 'fault', path, fault: 'unreadable', detail: expect.stringContaining('what cannot be') },
    ]);
    expect(lines[0]).toMatchObject({ path: '/d', misfits: 1 });
    expect(lines.find((line) => line.type === 'directory' && line.path === '/e')).not.toHaveProperty(
      'misfits',
    );
  });

  it('has all that a kernel can say', async () => {
    const widest = ['1', '18446744073709551615', '9223372036854775807', '-9223372036854775808.000000001'];
    const wide = [...widest, '9223372036854775807.999999999', ...Array(4).fill(0xffff_ffff)];
    const lines = await listed(directory([wide, entry('n'.repeat(1024), 1)], '/d', '18446744073709551615'));
    expect(faultsIn(lines)).toEqual([]);
    expect(filesIn(lines)).toEqual([wide.with(2, MOST_COUNTED), entry('n'.repeat(1024), 1)]);
  });

  it('whatever it is, never costs the others', async () => {
    const anything = fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue(), { minLength: 9, maxLength: 9 }));
    const mutated = fc
      .tuple(fc.nat({ max: 8 }), fc.jsonValue())
      .map(([place, value]) => withField(place, value));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(anything, mutated), { maxLength: 20 }), async (entries) => {
        const lines = await listed(directory([...entries, GOOD]));
        expect(filesIn(lines).at(-1)).toEqual(GOOD);
        expect(filesIn(lines).length + faultsIn(lines).length).toBe(entries.length + 1);
      }),
      { numRuns: 40 },
    );
  });

  it('is named one by one up to a bound, and by its directory from there', async () => {
    const [per, bad] = [LIMITS.inventoryLineEntries, withField(6, -1)];
    const full = Math.floor(ALLOWANCE.namedMisfits / per);
    const lines = await listed(...Array(full + 2).fill(directory(Array(per).fill(bad))));
    expect(faultsIn(lines)).toHaveLength(full * per + 2);
    expect(faultsIn(lines).at(-1)).toMatchObject({
      path: '/d',
      detail: expect.stringContaining(`${per} files`),
    });
  });

  it('counts as an entry', async () => {
    const lines = Array(4).fill(directory(Array(500).fill(withField(6, -1))));
    const request = { ...INVENTORY, maxEntries: 1000 };
    const asked = askedOf(
      ROUTES.files,
      (stream) => sendLines(stream, [...lines, END]),
      (session) => collect(session.listFiles(request)),
    );
    await expect(asked).rejects.toMatchObject({ code: 'protocol-violation' });
  });
});

it('a device number that cannot be costs its directory', async () => {
  const lines = await listed(directory([GOOD], '/d', '-1'), directory([GOOD], '/e'));
  expect(filesIn(lines)).toEqual([GOOD]);
  expect(faultsIn(lines)).toMatchObject([{ path: '/d' }]);
});

it('sums at the end of a listing may be as large as they like', async () => {
  const end = { ...END, bytes: '36893488147419103232'.slice(0, 20) };
  const handler: Handler = (stream) => sendLines(stream, [end]);
  const [line] = await askedOf(ROUTES.files, handler, (session) => collect(session.listFiles(INVENTORY)));
  expect(line).toEqual({ ...END, bytes: MOST_COUNTED });
});

describe('content', () => {
  const open = (facts: unknown, index = 0) =>
    encodeRecord(RECORD.open, index, Buffer.from(JSON.stringify(facts)));
  const data = (size: number) => encodeRecord(RECORD.data, 0, Buffer.alloc(size));
  const end = encodeRecord(RECORD.end, 0);
  const second = fileRecords(1, Buffer.from('b'));
  const CONTENT = { files: [{ path: '/a' }, { path: '/b' }], maxFileBytes: 100 };
  const read = (...records: Buffer[]) =>
    askedOf(
      ROUTES.content,
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.end(Buffer.concat(records));
      },
      async (session) => {
        const all = [];
        for await (const group of session.readContent(CONTENT))
          for (const { kind, index, payload } of group)
            all.push({ kind, index, payload: Buffer.from(payload) });
        return all;
      },
    );

  it.each<[string, Buffer[]]>([
    ['ends', [open({}), data(50), end]],
    ['ends at once', [open({ ...factsOf(1), uid: -1 }), end]],
    [
      'fails by itself',
      [open({ ...factsOf(1), mtime: '0' }), encodeRecord(RECORD.fail, 0, Buffer.from('{"reason":"grew"}'))],
    ],
  ])('of a file with facts that cannot be fails when it %s', async (_name, records) => {
    const [failed, ...others] = await read(...records, second);
    expect(failed).toMatchObject({ kind: RECORD.fail, index: 0 });
    expect(parseMessage(ContentFailure, failed?.payload ?? Buffer.alloc(0))).toMatchObject({
      reason: 'unreadable',
    });
    expect(others.map(({ kind, index }) => [kind, index])).toEqual([
      [RECORD.open, 1],
      [RECORD.data, 1],
      [RECORD.end, 1],
    ]);
  });

  it('of such a file is bounded all the same', async () => {
    await expect(read(open({}), data(101), end, second)).rejects.toMatchObject({
      code: 'protocol-violation',
    });
  });

  it('opens with the widest facts that there are', async () => {
    const facts = { ...factsOf(0), ino: '18446744073709551615', mtime: '-9223372036854775808.999999999' };
    expect((await read(open(facts), end, second)).map(({ kind }) => kind)).toEqual([1, 3, 1, 2, 3]);
  });
});

it('a digest with facts that cannot be is a file that could not be read', async () => {
  const digest = (index: number, facts: unknown) =>
    ({ type: 'digest', index, facts, sha256: createHash('sha256').update('x').digest('hex') }) as const;
  const lines = [digest(0, {}), digest(1, factsOf(1)), { type: 'end' }];
  const claims = await askedOf(
    ROUTES.digests,
    (stream) => sendLines(stream, lines),
    (session) => collect(session.claimDigests({ files: [{ path: '/a' }, { path: '/b' }], maxFileBytes: 9 })),
  );
  expect(claims).toMatchObject([
    { index: 0, failure: { reason: 'unreadable' } },
    { index: 1, facts: { size: 1 } },
  ]);
});
