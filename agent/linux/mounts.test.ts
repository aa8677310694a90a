import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../protocol/index.ts';
import { fileSystems, MountTable, parseMountInfo } from './mounts.ts';

const mount = (path: string, type = 'ext4') => ({ path: Buffer.from(path), type });
const withId = (id: string, path: string, type: string) => ({ id, ...mount(path, type) });

describe('mountinfo', () => {
  it('has paths with odd characters', () => {
    const text = '36 35 98:0 / /mnt\\040a\\134b rw shared:1 master:2 - fuse.sshfs host:/x rw\n';
    expect(parseMountInfo(Buffer.from(text))).toEqual([withId('36', '/mnt a\\b', 'fuse.sshfs')]);
  });
});

describe('a table of mounts', () => {
  it('finds the innermost mount that a path lies on', () => {
    const table = new MountTable([mount('/'), mount('/srv', 'xfs'), mount('/srv/nas', 'nfs4')]);
    const held = (path: string) => table.holding(Buffer.from(path))?.path.toString();
    expect(['/', '/srvx', '/srv', '/srv/a/b', '/srv/nas', '/srv/nas/a'].map(held)).toEqual([
      ...['/', '/', '/srv', '/srv', '/srv/nas', '/srv/nas'],
    ]);
    expect([...(table.in(Buffer.from('/srv'))?.keys() ?? [])]).toEqual(['nas']);
    expect([...(table.in(Buffer.from('/'))?.keys() ?? [])]).toEqual(['srv']);
    expect(table.in(Buffer.from('/srv/nas'))).toBeUndefined();
  });

  it('holds the last of those that are mounted on one place', () => {
    const table = new MountTable([mount('/'), mount('/net', 'autofs'), mount('/net', 'nfs4')]);
    expect(table.holding(Buffer.from('/net/a'))?.type).toBe('nfs4');
  });

  it('tells of a node with hundreds of containers in full', () => {
    const path = (index: number): string =>
      `/var/lib/docker/overlay2/${String(index).padStart(64, '0')}/merged`;
    const overlays = Array.from({ length: 700 }, (_, index) => mount(path(index), 'overlay'));
    const told = fileSystems(new MountTable([mount('/'), mount('/proc', 'proc'), ...overlays]));
    expect(told.fileSystems).toHaveLength(701);
    expect(told.moreFileSystems).toBeUndefined();
  });

  it('never tells more than fits, and then how many more there are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6000 }), fc.integer({ min: 1, max: 4000 }), (count, length) => {
        const path = (index: number): string => `/${String(index).padStart(length, 'ä')}`;
        const mounts = Array.from({ length: count }, (_, index) => mount(path(index)));
        const { fileSystems: told, moreFileSystems = 0 } = fileSystems(new MountTable(mounts));
        expect(told.length + moreFileSystems).toBe(count);
        expect(told.length).toBeLessThanOrEqual(LIMITS.fileSystems);
        expect(Buffer.byteLength(JSON.stringify(told))).toBeLessThan(LIMITS.messageBytes);
      }),
      { numRuns: 20 },
    );
  });
});
