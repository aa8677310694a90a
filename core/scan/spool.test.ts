import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DigestName } from '../api/index.ts';
import { Spool, type SpoolShare } from './spool.ts';
import { LOCK } from './spool-directory.ts';

const signal = new AbortController().signal;
let parent: string;
let spool: Spool;
let share: SpoolShare;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'spool-test-'));
  spool = Spool.create(parent, 200);
  share = spool.share();
});
afterEach(() => {
  spool[Symbol.dispose]();
  rmSync(parent, { recursive: true });
});

async function begin(bytes: number, digests: readonly DigestName[] = [], of = share) {
  using admission = await of.admit([bytes], signal);
  const arrival = admission.begin(bytes, digests);
  if (!arrival) throw new Error('there was room for it');
  return arrival;
}

async function put(text: string, reserve = text.length, of = share) {
  const arrival = await begin(reserve, [], of);
  await arrival.write(Buffer.from(text));
  return arrival.finish();
}

const filesBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== LOCK)
    .map(({ name }) => name);

/** Whether a promise is settled once all that is due now has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe('a content in the spool', () => {
  it('is what was written, with the digests that were asked for', async () => {
    const arrival = await begin(11, ['md5']);
    arrival.write(Buffer.from('hello '));
    arrival.write(Buffer.from('world'));
    const content = arrival.finish();
    expect(readFileSync(content.path, 'utf8')).toBe('hello world');
    expect(Buffer.from(content.head).toString()).toBe('hello world');
    expect(content.digests).toEqual({
      sha256: createHash('sha256').update('hello world').digest('hex'),
      md5: createHash('md5').update('hello world').digest('hex'),
    });
  });

  it('may be empty', async () => {
    const content = (await begin(0)).finish();
    expect(readFileSync(content.path).length).toBe(0);
  });

  it('is gone, and its room free, once released; releasing again changes nothing', async () => {
    const content = await put('x'.repeat(60));
    content.release();
    content.release();
    expect(existsSync(content.path)).toBe(false);
    expect(spool.bytesHeld).toBe(0);
  });

  it('gives back what it did not need', async () => {
    await put('short', 90);
    expect(spool.bytesHeld).toBe(5);
  });

  it('may not grow past what it announced', async () => {
    const arrival = await begin(3);
    expect(() => arrival.write(Buffer.from('four'))).toThrow(
      expect.objectContaining({ code: 'spool-failed' }),
    );
    arrival.discard();
    expect(spool.bytesHeld).toBe(0);
    expect(filesBelow(parent)).toEqual([]);
  });

  it('can be read by nobody but its owner', async () => {
    const { path } = await put('secret');
    expect(statSync(path).mode & 0o777).toBe(0o400);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
  });
});

describe('an admission', () => {
  it('has room for all that was asked for at once, and gives back what was not begun', async () => {
    const admission = await share.admit([60, 60, 60], signal);
    expect(spool.bytesHeld).toBe(180);
    admission.begin(60, [])?.finish();
    admission[Symbol.dispose]();
    expect(spool.bytesHeld).toBe(0);
  });

  it('lets a content be larger than was known while there is room, and waits for none', async () => {
    using admission = await share.admit([10], signal);
    expect(admission.begin(90, [])).toBeDefined();
    await put('x'.repeat(100));
    expect(admission.begin(11, [])).toBeUndefined();
  });

  it('of more than the whole spool is one for as much as there is', async () => {
    using admission = await share.admit([90, 90, 90], signal);
    expect([90, 90, 90].map((size) => admission.begin(size, []) !== undefined)).toEqual([true, true, false]);
  });

  it('is refused for what can never fit', async () => {
    expect(share).toMatchObject({ largest: 100, limit: 'spool.bytes' });
    await expect(share.admit([101], signal)).rejects.toMatchObject({ code: 'spool-failed' });
  });

  it('waits while the spool is full', async () => {
    const held = [await put('x'.repeat(80)), await put('x'.repeat(80))];
    const admission = spool.share().admit([50], signal);
    expect(await isSettled(admission)).toBe(false);
    for (const content of held) content.release();
    (await admission)[Symbol.dispose]();
    expect(spool.bytesHeld).toBe(0);
  });
});

describe('contents too large for memory', () => {
  let overflowing: Spool;
  let disk: string;

  beforeEach(() => {
    disk = join(parent, 'state', 'spool');
    overflowing = Spool.create(parent, 200, { directory: disk, bytes: 1000 });
  });
  afterEach(() => overflowing[Symbol.dispose]());

  it('lie on disk, apart from the others, and are removed like them', async () => {
    const share = overflowing.share();
    expect(share).toMatchObject({ largest: 1000, limit: 'spool.overflow' });
    const text = 'large '.repeat(100);
    const large = await put(text, 600, share);
    const small = await put('small', 100, share);
    expect(large.path.startsWith(disk)).toBe(true);
    expect(small.path.startsWith(disk)).toBe(false);
    expect(readFileSync(large.path, 'utf8')).toBe(text);
    expect(large.digests.sha256).toBe(createHash('sha256').update(text).digest('hex'));
    expect(statSync(join(large.path, '..')).mode & 0o777).toBe(0o700);
    large.release();
    small.release();
    expect(filesBelow(disk)).toEqual([]);
    expect(overflowing.bytesHeld).toBe(0);
  });

  it('are bounded there too, and hold up nothing that fits into memory', async () => {
    const [one, two] = [overflowing.share(), overflowing.share()];
    const large = await put('x'.repeat(600), 600, one);
    const next = two.admit([500], signal);
    expect(await isSettled(next)).toBe(false);
    await put('x'.repeat(100), 100, one);
    large.release();
    (await next)[Symbol.dispose]();
    await expect(two.admit([1001], signal)).rejects.toMatchObject({ code: 'spool-failed' });
  });

  it('are gone with a share that ends while they are being written', async () => {
    const share = overflowing.share();
    const arrival = await begin(600, [], share);
    const writing = arrival.write(Buffer.alloc(600));
    share[Symbol.dispose]();
    await writing;
    expect(filesBelow(disk)).toEqual([]);
    expect(overflowing.bytesHeld).toBe(0);
    expect(() => arrival.write(Buffer.alloc(0))).toThrow('has ended');
  });

  it('need a directory that can be made', () => {
    writeFileSync(join(parent, 'file'), '');
    expect(() => Spool.create(parent, 200, { directory: join(parent, 'file', 'x'), bytes: 1 })).toThrow(
      expect.objectContaining({
        code: 'spool-failed',
        message: expect.stringContaining('spool.overflow.directory'),
      }),
    );
    expect(readdirSync(parent).filter((name) => name.startsWith('lazaret-spool-'))).toHaveLength(2);
  });
});

it('takes back a share with all that its scan left in it, and nothing of others', async () => {
  const other = await put('of another scan', 15, spool.share());
  (await begin(10)).write(Buffer.from('unfinished'));
  const finished = (await begin(5)).finish();
  const released = (await begin(5)).finish();
  released.release();
  share[Symbol.dispose]();
  expect(existsSync(finished.path)).toBe(false);
  expect(existsSync(other.path)).toBe(true);
  expect(spool.bytesHeld).toBe(other.size);
});

it('gives a share that has ended no room', async () => {
  const held = await put('x'.repeat(100), 100, spool.share());
  await put('x'.repeat(100), 100, spool.share());
  const late = share.admit([50], signal);
  share[Symbol.dispose]();
  held.release();
  await expect(late).rejects.toMatchObject({ code: 'spool-failed' });
  expect(spool.bytesHeld).toBe(100);
});

it('leaves nothing behind', async () => {
  await put('left over');
  spool[Symbol.dispose]();
  expect(readdirSync(parent)).toEqual([]);
});

it('says where it could not be made', () => {
  expect(() => Spool.create('/nowhere', 200)).toThrow(
    expect.objectContaining({ code: 'spool-failed', message: expect.stringContaining('spool.directory') }),
  );
});
