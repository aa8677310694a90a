/** File systems that the host does not ask for are passed by, and said to be. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { InventoryRequest } from '../../protocol/index.ts';
import { need } from '../../test/need.ts';
import { HangingMount } from '../testing/hanging-mount.ts';
import { TestAgent } from '../testing/tree.ts';

const canMount = need(await HangingMount.need());

/** What a listing names, with a tmpfs at /memory, a file from it at /bound, and FUSE that never answers at /hung. */
async function listed(request: Partial<InventoryRequest>) {
  await using agent = await TestAgent.start();
  const at = (name: string): string => join(agent.root, name);
  mkdirSync(at('memory'));
  mkdirSync(at('etc'));
  writeFileSync(at('etc/own'), '');
  writeFileSync(at('bound'), '');
  execFileSync('mount', ['-t', 'tmpfs', 'test', at('memory')]);
  try {
    writeFileSync(at('memory/far'), '');
    execFileSync('mount', ['--bind', at('memory/far'), at('bound')]);
    try {
      await using _ = await HangingMount.at(at('hung'), 'dead');
      const host = await agent.session('query:files');
      const lines = await host.files(request);
      const files = lines.flatMap((line) =>
        line.type === 'directory' ? line.files.map(([name]) => String(name)) : [],
      );
      const told = lines.filter(({ type }) => type === 'left-out' || type === 'fault');
      return {
        files: files.sort(),
        told: told.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      };
    } finally {
      execFileSync('umount', [at('bound')]);
    }
  } finally {
    execFileSync('umount', [at('memory')]);
  }
}

const leftOut = (path: string, fileSystem: string) => ({ type: 'left-out', path, fileSystem });

describe.runIf(canMount)('file systems of other types than were asked for', () => {
  it('are left out without a call that could wait for them, each with its type', async () => {
    expect(await listed({ fileSystems: ['ext4'] })).toEqual({
      files: ['own'],
      told: [leftOut('/bound', 'tmpfs'), leftOut('/hung', 'fuse.lazaret-test'), leftOut('/memory', 'tmpfs')],
    });
  });

  it('are listed where their type is named', async () => {
    expect(await listed({ fileSystems: ['ext4', 'tmpfs'] })).toEqual({
      files: ['bound', 'far', 'own'],
      told: [leftOut('/hung', 'fuse.lazaret-test')],
    });
  });

  it('are listed where a root of the listing lies on them', async () => {
    const { files } = await listed({ roots: ['/memory'], fileSystems: [] });
    expect(files).toEqual(['far']);
  });

  it('are not even told of where the listing keeps to one', async () => {
    expect(await listed({ oneFileSystem: true, fileSystems: [] })).toEqual({ files: ['own'], told: [] });
  });
});
