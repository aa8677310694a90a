/**
 * Files with any metadata that a file can have: one that is out of the ordinary costs at most itself, and malware
 * that has it is taken and comes back as it was. On tmpfs, which keeps all 64 bits of times and sizes.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, openSync, statSync, truncateSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { setTimes } from '../../agent/linux/calls.ts';
import { FileStatus } from '../../agent/linux/status.ts';
import { readAttributes, setAttribute } from '../../agent/linux/xattr.ts';
import { MOST_COUNTED } from '../../protocol/index.ts';
import { need } from '../need.ts';
import { answersIn } from './engine.ts';
import { EICAR, MARKER, type ServedFolder } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

const signal = new AbortController().signal;
const TMPFS = '/dev/shm';
const isRoot = process.geteuid?.() === 0;
const hasTmpfs = need({
  what: `tmpfs at ${TMPFS}`,
  there: execFileSync('stat', ['--file-system', '--format=%T', TMPFS], { encoding: 'utf8' }) === 'tmpfs\n',
  get: `mount -t tmpfs tmpfs ${TMPFS}`,
});

beforeAll(() => {
  process.env.TMPDIR = TMPFS;
});

const touch = (path: Buffer, time: string) => execFileSync('touch', ['-d', time, path.toString()]);
/** All that stat(2) and the attributes say of a file, but its inode and what the kernel alone sets. */
function metadataOf(path: Buffer) {
  const descriptor = openSync(path, 'r');
  try {
    const { mode, uid, gid, wireSize, atime, mtime } = FileStatus.ofDescriptor(descriptor);
    const attributes = readAttributes(descriptor)
      .map(({ name, value }) => `${name.toString('hex')}=${value.toString('hex')}`)
      .toSorted();
    return { mode, uid, gid, wireSize, atime, mtime, attributes };
  } finally {
    closeSync(descriptor);
  }
}

describe.runIf(hasTmpfs)('a file that is out of the ordinary', () => {
  async function withOdd(plant: (guest: ServedFolder) => void) {
    const guest = await serve();
    guest.plant('/bad', EICAR);
    guest.plant('/fine', 'harmless');
    plant(guest);
    const engine = await startEngine(guest);
    const { scan, unscanned, findings } = await engine.scan();
    expect(findings).toMatchObject([{ subject: { path: '/bad' } }]);
    expect(scan.state).toBe('finished');
    // What was written down can be read, and the next scan goes as this one did.
    expect(engine.kept().scans).toEqual([scan]);
    const again = await engine.scan();
    expect(again.scan.summary).toMatchObject({ files: scan.summary?.files, bytes: scan.summary?.bytes });
    return { summary: scan.summary, unscanned };
  }

  it.each([
    '@1000000000000',
    '@9223372036854775807',
    '@-1',
    '@-99999999999',
    '@-9223372036854775808',
    '1899-12-31',
  ])('by its time (touch -d %s) is scanned as any other', async (time) => {
    const { summary, unscanned } = await withOdd((guest) =>
      touch(guest.plant('/odd', MARKER.slice(1)), time),
    );
    expect(unscanned).toEqual([]);
    expect(summary).toMatchObject({ files: 3, malicious: 1 });
  });

  it.each([2 ** 53 - 1, 2 ** 53, '8EB', '9223372036854771712'])(
    'by its size (truncate -s %s) is too large, and all others are scanned',
    async (size) => {
      const { summary, unscanned } = await withOdd((guest) =>
        execFileSync('truncate', ['-s', String(size), guest.plant('/odd', '').toString()]),
      );
      expect(unscanned).toMatchObject([{ path: '/odd', reason: 'too-large' }]);
      expect(summary).toMatchObject({ files: 3, bytes: MOST_COUNTED, unscanned: { 'too-large': 1 } });
    },
  );

  it('by the sum of its size with that of others is counted as at least so much', async () => {
    const { summary } = await withOdd((guest) => {
      for (const name of ['/one', '/two']) truncateSync(guest.plant(name, ''), 2 ** 53 - 1);
    });
    expect(summary).toMatchObject({ files: 4, bytes: MOST_COUNTED, unscanned: { 'too-large': 2 } });
  });

  it.runIf(isRoot)('by its owner is scanned as any other', async () => {
    const { unscanned } = await withOdd((guest) => {
      chownSync(guest.plant('/odd', 'x'), 0xffff_fffe, 0xffff_fffe);
      chmodSync(guest.at('/odd'), 0o7777);
    });
    expect(unscanned).toEqual([]);
  });
});

/** Times over all 64 bits of their seconds, which tmpfs keeps. */
const seconds = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(-1n, 0n, 2n ** 31n, 2n ** 32n, 10n ** 12n, -(10n ** 12n), 2n ** 53n, 2n ** 63n - 1n),
);
const time = fc
  .tuple(seconds, fc.nat({ max: 999_999_999 }))
  .map(([whole, nanoseconds]) => `${whole}.${String(nanoseconds).padStart(9, '0')}`);
const owner = fc.oneof(fc.constant(0), fc.nat({ max: 0xffff_fffe }));
const attribute = fc.record({
  name: fc.uint8Array({ minLength: 1, maxLength: 240 }).map((bytes) => bytes.map((byte) => byte || 1)),
  value: fc.uint8Array({ maxLength: 2000 }),
});
const metadata = fc.record({
  ...{ mode: fc.nat({ max: 0o7777 }), uid: owner, gid: owner, atime: time, mtime: time },
  attributes: fc.uniqueArray(attribute, {
    maxLength: 4,
    selector: ({ name }) => Buffer.from(name).toString('hex'),
  }),
  /** Where it ends, in a hole. */
  length: fc.oneof(fc.constant(0), fc.nat({ max: 300_000 })),
});
type Metadata = typeof metadata extends fc.Arbitrary<infer Value> ? Value : never;

function dress(path: Buffer, { mode, uid, gid, atime, mtime, attributes, length }: Metadata): void {
  truncateSync(path, MARKER.length + length);
  const descriptor = openSync(path, 'r+');
  try {
    for (const { name, value } of attributes) {
      // Those of `trusted` are root's; tmpfs has had them for longer than those of users.
      const full = Buffer.concat([Buffer.from('trusted.'), name]);
      setAttribute(descriptor, { name: full, value: Buffer.from(value) });
    }
    chownSync(path, uid, gid);
    chmodSync(path, mode);
    setTimes(descriptor, atime, mtime);
  } finally {
    closeSync(descriptor);
  }
}

describe.runIf(hasTmpfs)('malware', () => {
  it('whose atime is far ahead is contained and comes back as it was', async () => {
    const guest = await serve();
    const file = guest.plant('/bad', EICAR);
    execFileSync('touch', ['-a', '-d', '@1000000000000', file.toString()]);
    const before = metadataOf(file);
    const engine = await startEngine(guest);
    expect(answersIn(await engine.scan({ mode: 'contain' }))).toEqual({ '/bad': 'contained' });
    expect(guest.has('/bad')).toBe(false);
    const [held] = engine.kept().vault;
    expect(held).toMatchObject({ status: 'held', state: { atime: before.atime } });
    await engine.services.quarantine.restore(String(held?.id), signal);
    expect(metadataOf(file)).toEqual(before);
    expect((await engine.scan()).scan.state).toBe('finished');
  });

  const asRoot = need({ what: 'root, who may give files any owner', there: isRoot, get: 'sudo' });
  it.runIf(asRoot)(
    'with any metadata is contained and comes back as it was',
    { timeout: 120_000 },
    async () => {
      const guest = await serve();
      const files = fc.sample(metadata, 60).map((given, number) => ({ path: `/srv/${number}`, given }));
      const before = new Map<string, ReturnType<typeof metadataOf>>();
      for (const { path, given } of files) {
        const place = guest.plant(path, MARKER);
        dress(place, given);
        before.set(path, metadataOf(place));
      }
      const engine = await startEngine(guest);
      const report = await engine.scan({ mode: 'contain' });
      expect(answersIn(report)).toEqual(Object.fromEntries(files.map(({ path }) => [path, 'contained'])));
      expect(files.filter(({ path }) => guest.has(path))).toEqual([]);
      const { vault, actions } = engine.kept();
      expect(actions.filter(({ outcome }) => outcome?.code !== 'done' || outcome.detail)).toEqual([]);
      for (const { id } of vault) await engine.services.quarantine.restore(id, signal);
      for (const { path, given } of files) {
        expect(metadataOf(guest.at(path)), `${path} ${JSON.stringify(given)}`).toEqual(before.get(path));
        expect(guest.text(path)).toBe(MARKER + '\0'.repeat(given.length));
      }
      expect(engine.kept().vault.filter(({ status }) => status !== 'restored')).toEqual([]);
    },
  );

  it('that is long and nearly empty is so in the vault, and again in its guest', async () => {
    const guest = await serve();
    const file = guest.plant('/bad', EICAR);
    const length = 100 * 1024 * 1024;
    truncateSync(file, length);
    const before = statSync(file);
    const engine = await startEngine(guest);
    expect(answersIn(await engine.scan({ mode: 'contain' }))).toEqual({ '/bad': 'contained' });
    const [held] = engine.kept().vault;
    const stored = statSync(`${guest.directory}/state/vault/${held?.id}`);
    expect(stored.size).toBeGreaterThan(length);
    expect(stored.blocks * 512).toBeLessThan(64 * 1024);
    await engine.services.quarantine.restore(String(held?.id), signal);
    const after = statSync(file);
    expect([after.size, after.blocks]).toEqual([length, before.blocks]);
  });
});
