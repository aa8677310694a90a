import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Spool } from './spool.ts';

const signal = new AbortController().signal;
let parent: string;
let spool: Spool;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'spool-test-'));
  spool = Spool.create(parent, 200);
});
afterEach(() => {
  spool[Symbol.dispose]();
  rmSync(parent, { recursive: true });
});

async function put(text: string, reserve = text.length) {
  const arrival = await spool.begin(reserve, [], signal);
  arrival.write(Buffer.from(text));
  return arrival.finish();
}

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
    const arrival = await spool.begin(11, ['md5'], signal);
    arrival.write(Buffer.from('hello '));
    arrival.write(Buffer.from('world'));
    const content = arrival.finish();
    expect(readFileSync(content.path, 'utf8')).toBe('hello world');
    expect(content.digests).toEqual({
      sha256: createHash('sha256').update('hello world').digest('hex'),
      md5: createHash('md5').update('hello world').digest('hex'),
    });
  });

  it('may be empty', async () => {
    const content = (await spool.begin(0, [], signal)).finish();
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
    const arrival = await spool.begin(3, [], signal);
    expect(() => arrival.write(Buffer.from('four'))).toThrow(
      expect.objectContaining({ code: 'spool-failed' }),
    );
    arrival.discard();
    expect(spool.bytesHeld).toBe(0);
    expect(readdirSync(join(parent, readdirSync(parent)[0] as string))).toEqual([]);
  });
});

describe('a full spool', () => {
  it('lets the next content in when there is room, first come first served', async () => {
    const held = [await put('x'.repeat(80)), await put('x'.repeat(80))];
    const large = spool.begin(90, [], signal);
    const small = spool.begin(10, [], signal);
    expect(await isSettled(small)).toBe(false);
    for (const content of held) content.release();
    (await large).discard();
    (await small).discard();
    expect(spool.bytesHeld).toBe(0);
  });

  it('refuses what can never fit beside others', async () => {
    expect(spool.largest).toBe(100);
    await expect(spool.begin(101, [], signal)).rejects.toMatchObject({ code: 'spool-failed' });
  });

  it('lets go of one who gives up, and those behind it in', async () => {
    const held = [await put('x'.repeat(80)), await put('x'.repeat(80))];
    const gone = new AbortController();
    const large = spool.begin(90, [], gone.signal);
    const small = spool.begin(20, [], signal);
    gone.abort(new Error('gave up'));
    await expect(large).rejects.toThrow('gave up');
    (await small).discard();
    for (const content of held) content.release();
    expect(spool.bytesHeld).toBe(0);
  });
});

it('takes back a share with all that its scan left in it, and nothing of others', async () => {
  const other = await put('of another scan');
  const share = spool.share();
  (await share.begin(10, [], signal)).write(Buffer.from('unfinished'));
  const finished = (await share.begin(5, [], signal)).finish();
  const released = (await share.begin(5, [], signal)).finish();
  released.release();
  share[Symbol.dispose]();
  expect(existsSync(finished.path)).toBe(false);
  expect(existsSync(other.path)).toBe(true);
  expect(spool.bytesHeld).toBe(other.size);
});

it('takes nothing more for a share that was taken back', async () => {
  const share = spool.share();
  const held = [await put('x'.repeat(90)), await put('x'.repeat(90))];
  const unfinished = await share.begin(10, [], signal);
  const waiting = share.begin(50, [], signal);
  share[Symbol.dispose]();
  expect(() => unfinished.write(Buffer.from('late'))).toThrow(
    expect.objectContaining({ code: 'spool-failed' }),
  );
  for (const content of held) content.release();
  await expect(waiting).rejects.toMatchObject({ code: 'spool-failed' });
  expect(spool.bytesHeld).toBe(0);
});

it('leaves nothing behind', async () => {
  await put('something');
  spool[Symbol.dispose]();
  expect(readdirSync(parent)).toEqual([]);
});
