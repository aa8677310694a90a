import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connected, inodeOf, type Script } from '../../test/scan/scripted-session.ts';
import { ChannelError } from '../channel/error.ts';
import { type Fetched, fetchContents } from './fetch.ts';
import { Spool, type SpoolShare } from './spool.ts';
import { LOCK } from './spool-directory.ts';

const signal = new AbortController().signal;
let folder: string;
let spool: Spool;
let share: SpoolShare;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fetch-test-'));
  spool = Spool.create(folder, 1000);
  share = spool.share();
});
afterEach(() => {
  spool[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

type Item = { readonly request: { path: string } };

async function fetch(script: Script, paths: readonly string[], maxFileBytes = 500) {
  const batch = paths.map((path): Item => ({ request: { path } }));
  const { session } = connected(script);
  const fetched: Fetched<Item>[] = [];
  let failure: unknown;
  try {
    const policy = { maxFileBytes, digests: ['md5'] as const };
    for await (const some of fetchContents(session, batch, share, policy, signal)) fetched.push(...some);
  } catch (error) {
    failure = error;
  }
  return { fetched, failure, session };
}

const shown = (fetched: readonly Fetched<Item>[]) =>
  fetched.map((each) => [
    each.item.request.path,
    'content' in each ? readFileSync(each.content.path, 'utf8') : each.unscanned,
  ]);

describe('fetching', () => {
  it('puts each content into the spool, with the facts of what was opened', async () => {
    const files = [
      { path: '/a', content: 'one' },
      { path: '/b', content: '' },
      { path: '/c', content: 'three' },
    ];
    const { fetched, session } = await fetch({ files }, ['/a', '/b', '/c']);
    expect(shown(fetched)).toEqual([
      ['/a', 'one'],
      ['/b', ''],
      ['/c', 'three'],
    ]);
    expect(fetched[0]).toMatchObject({
      facts: { ino: inodeOf('/a'), size: 3 },
      content: { digests: { md5: 'f97c5d29941bfb1b2fdab0874906ab82' } },
    });
    expect(session.requests).toEqual([
      { files: [{ path: '/a' }, { path: '/b' }, { path: '/c' }], maxFileBytes: 500 },
    ]);
    expect(spool.bytesHeld).toBe(8);
  });

  it('drops what failed on its way, and goes on', async () => {
    const files = [
      { path: '/a', content: 'grows and grows', fault: 'grew' as const },
      { path: '/b', content: 'fine' },
    ];
    const { fetched, failure } = await fetch({ files }, ['/a', '/gone', '/b']);
    expect(shown(fetched)).toEqual([
      ['/a', 'grew'],
      ['/gone', 'vanished'],
      ['/b', 'fine'],
    ]);
    expect(failure).toBeUndefined();
    expect(spool.bytesHeld).toBe(4);
  });

  it.each([
    ['session-lost', 'channel-lost'],
    ['cancelled', 'cancelled'],
  ] as const)('accounts for the rest when the channel ends as %s', async (code, unscanned) => {
    const error = new ChannelError(code, 'it ended');
    const beforeFile = (path: string) => {
      if (path === '/b') throw error;
    };
    const { fetched, failure } = await fetch({ files: [{ path: '/a', content: 'one' }], beforeFile }, [
      '/a',
      '/b',
      '/c',
    ]);
    expect(failure).toBe(error);
    expect(shown(fetched)).toEqual([
      ['/a', 'one'],
      ['/b', unscanned],
      ['/c', unscanned],
    ]);
    expect(fetched[1]).toMatchObject({ detail: 'it ended' });
  });

  it('leaves nothing of a content that breaks off', async () => {
    const whole = connected({ files: [{ path: '/a', content: 'one half and the other' }] }).session;
    const { session } = connected({});
    session.readContent = async function* (request) {
      for await (const records of whole.readContent(request)) yield records.slice(0, 2);
      throw new TypeError('a bug');
    };
    const fetched = fetchContents(
      session,
      [{ request: { path: '/a' } }],
      share,
      { maxFileBytes: 500, digests: [] },
      signal,
    );
    await expect(Array.fromAsync(fetched)).rejects.toThrow('a bug');
    expect(spool.bytesHeld).toBe(0);
    expect(readdirSync(join(folder, readdirSync(folder)[0] ?? ''))).toEqual([LOCK]);
  });

  it('refuses a content that could never enter the spool', async () => {
    const { failure } = await fetch({ files: [{ path: '/a', content: 'x'.repeat(501) }] }, ['/a'], 1000);
    expect(failure).toMatchObject({ code: 'spool-failed' });
    expect(spool.bytesHeld).toBe(0);
  });

  it('sends a request only when all that it asks for fits, and then waits no more', async () => {
    const other = spool.share();
    const held = (await other.admit([500], signal)).begin(500, []);
    const { session } = connected({
      files: [
        { path: '/a', content: 'a'.repeat(300) },
        { path: '/b', content: 'b'.repeat(300) },
      ],
    });
    const batch = ['/a', '/b'].map((path) => ({ request: { path }, facts: { size: 300 } }));
    const fetched = fetchContents(session, batch, share, { maxFileBytes: 500, digests: [] }, signal);
    const first = fetched.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(session.requests).toEqual([]);
    held?.discard();
    other[Symbol.dispose]();
    expect((await first).value).toHaveLength(2);
    expect(await fetched.next()).toEqual({ done: true, value: undefined });
    expect(spool.bytesHeld).toBe(600);
  });

  it('asks once more, by itself, for what outgrew the room that there is', async () => {
    const other = spool.share();
    const held = (await other.admit([500], signal)).begin(500, []);
    const { session } = connected({
      files: [
        { path: '/a', content: 'a' },
        { path: '/log', content: 'x'.repeat(501 - 1) },
        { path: '/c', content: 'c' },
      ],
    });
    const batch = ['/a', '/log', '/c'].map((path) => ({ request: { path }, facts: { size: 1 } }));
    const fetched = fetchContents(session, batch, share, { maxFileBytes: 500, digests: [] }, signal);
    expect(shown((await fetched.next()).value as Fetched<Item>[])).toEqual([
      ['/a', 'a'],
      ['/c', 'c'],
    ]);
    const second = fetched.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(session.requests).toHaveLength(1);
    held?.discard();
    expect(shown((await second).value as Fetched<Item>[])).toEqual([['/log', 'x'.repeat(500)]]);
    expect(session.requests[1]?.files).toEqual([{ path: '/log' }]);
  });

  it('gives up on what has grown again when there is room for it', async () => {
    const other = spool.share();
    const held = (await other.admit([500], signal)).begin(500, []);
    (await other.admit([300], signal)).begin(300, []);
    const log = (size: number) => ({ path: '/log', content: 'x'.repeat(size) });
    const files = [log(300)];
    const { session } = connected({ files });
    const batch = [{ request: { path: '/log' }, facts: { size: 100 } }];
    const policy = { maxFileBytes: 500, digests: [] };
    const fetched = fetchContents(session, batch, share, policy, signal);
    expect((await fetched.next()).value).toEqual([]);
    const again = fetched.next();
    held?.discard();
    (await other.admit([400], signal)).begin(400, []);
    files.splice(0, 1, log(400));
    expect((await again).value).toEqual([]);
    expect(shown((await fetched.next()).value as Fetched<Item>[])).toEqual([['/log', 'spool-full']]);
  });
});
