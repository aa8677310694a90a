import { describe, expect, it } from 'vitest';
import { GuestPath } from '../../protocol/index.ts';
import { connected, type Script } from '../../test/scan/scripted-session.ts';
import { type InventoryPolicy, type Listed, listFiles } from './inventory.ts';

const signal = new AbortController().signal;
const policy: InventoryPolicy = {
  roots: [GuestPath.of(Buffer.from('/\xff', 'latin1'))],
  excludes: [GuestPath.of('/proc')],
  oneFileSystem: true,
  maxEntries: 10,
  maxDepth: 3,
  maxSeconds: 5,
};

async function list(script: Script): Promise<{ listed: Listed[]; request: unknown }> {
  const { session } = connected(script);
  const listed = await Array.fromAsync(listFiles(session, policy, signal));
  return { listed, request: session.listings[0] };
}

describe('a listing', () => {
  it('is asked for within its bounds, paths as bytes', async () => {
    const { request } = await list({});
    expect(request).toEqual({
      ...policy,
      followRoots: true,
      roots: [{ b64: Buffer.from('/\xff', 'latin1').toString('base64') }],
      excludes: ['/proc'],
    });
  });

  it('gives files by their whole path, however it is written', async () => {
    const facts = ['7', 5, '1.000000000', '2.000000000', 0o100600, 10, 20, 1] as const;
    const { listed } = await list({
      lines: [
        { type: 'directory', path: '/', dev: '1', files: [['top', ...facts]] },
        { type: 'directory', path: '/a\n', dev: '1', files: [[{ b64: '/w==' }, ...facts]] },
      ],
    });
    expect(
      listed.flatMap(({ line }) =>
        (line?.files ?? []).map(({ path, facts }) => [path.bytes.toString('latin1'), facts]),
      ),
    ).toEqual([
      ['/top', { path: '/top', size: 5, mtime: '1.000000000', mode: 0o100600, uid: 10, gid: 20 }],
      [
        '/a\n/\xff',
        { path: '/a\\x0a/\\xff', size: 5, mtime: '1.000000000', mode: 0o100600, uid: 10, gid: 20 },
      ],
    ]);
  });

  it('tells what could not be listed', async () => {
    const fault = { type: 'fault', path: '/x\x1b', detail: 'why' } as const;
    const { listed } = await list({
      lines: [
        { ...fault, fault: 'vanished' },
        { ...fault, fault: 'unreadable' },
        { ...fault, fault: 'bad-name' },
      ],
      limit: 'depth',
    });
    expect(listed.flatMap(({ missed = [] }) => missed)).toEqual([
      { path: '/x\\x1b', reason: 'vanished', detail: 'why' },
      { path: '/x\\x1b', reason: 'unreadable', detail: 'why' },
      { path: '/x\\x1b', reason: 'unreadable', detail: 'why' },
      {
        path: '/',
        reason: 'engine-limit',
        detail: 'the listing ended at its limit of depth; the rest was not seen',
      },
    ]);
  });

  it('refuses a name that leads elsewhere', async () => {
    const entry = ['../x', '7', 5, '1.000000000', '2.000000000', 0, 0, 0, 1] as const;
    const lines = [
      { type: 'directory' as const, path: '/a', dev: '1', files: [[...entry] as [...typeof entry]] },
    ];
    await expect(list({ lines })).rejects.toMatchObject({ code: 'malformed-path' });
  });
});
