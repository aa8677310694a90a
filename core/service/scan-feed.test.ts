import { describe, expect, it } from 'vitest';
import { progress } from '../../test/records.ts';
import { FEED_LIMITS, ScanFeed } from './scan-feed.ts';
import { NOON } from './testing/operations.ts';
import type { ScanEvent } from './views.ts';

const found = (message: string): ScanEvent => ({
  type: 'ocsf',
  event: { class_uid: 2004, activity_id: 1, time: NOON, metadata: { uid: 'event-1' }, message },
});
const at = (filesDone: number): ScanEvent => ({ type: 'progress', progress: { ...progress(), filesDone } });
const ended: ScanEvent = {
  type: 'ended',
  scan: {
    ...{ id: 's', vm: { id: 'v', name: 'web' }, mode: 'detect', dryRun: false, trigger: 'schedule' },
    ...{ state: 'finished', queuedAt: NOON },
  },
};
const never = () => new AbortController().signal;

describe('a feed', () => {
  it('tells one who comes late what was found, where it stands, and the rest', async () => {
    const feed = new ScanFeed();
    for (const event of [at(1), found('a'), at(2), found('b')]) feed.publish(event);
    const events = Array.fromAsync(feed.follow(never()));
    await new Promise(setImmediate);
    feed.publish(at(3));
    feed.publish(ended);
    expect(await events).toEqual([found('a'), found('b'), at(2), at(3), ended]);
  });

  it('tells all who follow the same, each at its own pace', async () => {
    const feed = new ScanFeed();
    const slow = feed.follow(never());
    const first = slow.next();
    feed.publish(found('a'));
    expect((await first).value).toEqual(found('a'));
    const quick = Array.fromAsync(feed.follow(never()));
    for (const event of [found('b'), at(1), at(2), at(3), ended]) feed.publish(event);
    expect(await quick).toEqual([found('a'), found('b'), at(3), ended]);
    expect(await Array.fromAsync(slow)).toEqual([found('b'), at(3), ended]);
    expect(feed.size).toBe(0);
  });

  it('tells of one that has ended what is kept and the end, and takes nothing after it', async () => {
    const feed = new ScanFeed({ ...FEED_LIMITS, kept: 2, waiting: 10 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) feed.publish(found(name));
    feed.publish(ended);
    feed.publish(found('f'));
    expect(await Array.fromAsync(feed.follow(never()))).toEqual([found('d'), found('e'), ended]);
  });

  it('lets go whom it overruns', async () => {
    const feed = new ScanFeed({ ...FEED_LIMITS, kept: 2, waiting: 10 });
    const follower = feed.follow(never());
    feed.publish(found('first'));
    await follower.next();
    for (let times = 0; times < 12; times++) feed.publish(found(String(times)));
    await expect(follower.next()).rejects.toMatchObject({ code: 'slow-reader' });
    expect(feed.size).toBe(0);
  });

  it('keeps no more than has room, and lets one go for whom too much waits, whether or not it reads', async () => {
    const feed = new ScanFeed({ ...FEED_LIMITS, keptCharacters: 2_500, waitingCharacters: 5_000 });
    const stuck = feed.follow(never());
    const first = stuck.next();
    feed.publish(found('first'));
    await first;
    for (let times = 0; times < 100; times++) feed.publish(found(String(times).padEnd(1_000)));
    const late = Array.fromAsync(feed.follow(never()));
    feed.publish(ended);
    expect(await late).toHaveLength(3);
    await expect(stuck.next()).rejects.toMatchObject({ code: 'slow-reader' });
  });

  it('ends for one whose signal is aborted, before and while it waits', async () => {
    const feed = new ScanFeed();
    expect(await Array.fromAsync(feed.follow(AbortSignal.abort()))).toEqual([]);
    const controller = new AbortController();
    const events = Array.fromAsync(feed.follow(controller.signal));
    feed.publish(found('a'));
    await new Promise(setImmediate);
    controller.abort();
    expect(await events).toEqual([found('a')]);
    expect(feed.size).toBe(0);
  });
});
