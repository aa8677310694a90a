import { beforeEach, describe, expect, it } from 'vitest';
import { EventError, type EventErrorCode } from '../error.ts';
import type { OcsfEvent } from '../events/sink.ts';
import { EventFeed } from './event-feed.ts';
import { memoryLogger } from './testing/requests.ts';

const FINDING = 2004;
const REMEDIATION = 7002;

let log: ReturnType<typeof memoryLogger>;
let feed: EventFeed;
let told: string[];
let fault: EventErrorCode | undefined;
let why: string | undefined;
beforeEach(() => {
  log = memoryLogger();
  feed = new EventFeed(log.logger);
  [told, fault, why] = [[], undefined, undefined];
  feed.alsoTell({ emit: async ({ metadata }) => void told.push(metadata.uid) });
  feed.sendTo({
    emit: async () => {
      if (fault) throw new EventError(fault, `it is ${fault}`);
    },
    reasonToWithhold: () => why,
  });
});

const event = (uid: string, class_uid = FINDING): OcsfEvent => ({
  ...{ class_uid, activity_id: 1, time: 0, metadata: { uid } },
});

describe('events of the engine', () => {
  it('go out, then to those who follow', async () => {
    await feed.emit(event('a'));
    await feed.emit(event('b', REMEDIATION));
    expect(told).toEqual(['a', 'b']);
    expect(feed.reasonToWithhold()).toBeUndefined();
  });

  it('are not accepted before there is a way out', async () => {
    feed.sendTo(undefined);
    await expect(feed.emit(event('a'))).rejects.toMatchObject({ code: 'stopped' });
    expect(feed.reasonToWithhold()).toContain('not accepted');
    expect(told).toEqual([]);
  });

  it('fail when they are lost', async () => {
    fault = 'stopped';
    await expect(feed.emit(event('a'))).rejects.toMatchObject({ code: 'stopped' });
    expect(told).toEqual([]);
  });
});

describe.each(['spool-full', 'spool-failed'] as const)('when the spool, or its disk, is full: %s', (full) => {
  beforeEach(() => {
    [fault, why] = [full, 'it is full'];
  });

  it('what was found passes, with one warning until there is room again', async () => {
    await feed.emit(event('a'));
    await feed.emit(event('b', 6007));
    expect(told).toEqual(['a', 'b']);
    expect(log.lines).toMatchObject([{ level: 'warn', facts: { code: full } }]);
    fault = undefined;
    await feed.emit(event('c'));
    fault = full;
    await feed.emit(event('d'));
    expect(log.lines).toHaveLength(2);
  });

  it('what was done does not, and nothing is to be done', async () => {
    await expect(feed.emit(event('a', REMEDIATION))).rejects.toMatchObject({ code: full });
    expect(feed.reasonToWithhold()).toBe('it is full');
    expect(told).toEqual([]);
  });
});
