import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RUNNING_IMPLANT_PATH } from '../samples.ts';
import { plantTree } from '../tree.ts';
import { type FolderGuest, startFolderGuest } from './without-qemu.ts';

let base: string;
let tree: string;
let directory: string;
let guest: FolderGuest | undefined;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'lazaret-folder-'));
  tree = join(base, 'tree');
  directory = join(base, 'guest');
  mkdirSync(tree);
  mkdirSync(directory);
});
afterEach(async () => {
  await guest?.close();
  guest = undefined;
  rmSync(base, { recursive: true, force: true });
});

describe('a guest without a virtual machine', () => {
  it('has an agent on its socket and a process whose file is gone', async () => {
    plantTree(tree);
    guest = await startFolderGuest({ tree, directory });
    const host = connect(guest.socket);
    await once(host, 'connect');
    host.destroy();
    expect(await guest.executables()).toEqual([`${RUNNING_IMPLANT_PATH} (deleted)`]);
    expect(existsSync(join(tree, RUNNING_IMPLANT_PATH))).toBe(false);
  });

  it('is looked into past the agent', async () => {
    plantTree(tree);
    guest = await startFolderGuest({ tree, directory });
    expect((await guest.read('/etc/ssh/sshd_config'))?.toString()).toContain('PermitRootLogin yes');
    expect(await guest.read('/no/such/file')).toBeUndefined();
  });

  it('leaves neither processes nor files of its own', async () => {
    plantTree(tree);
    guest = await startFolderGuest({ tree, directory });
    await guest.close();
    expect(await guest.executables()).toEqual([]);
    expect(readdirSync(base)).toEqual(['tree']);
  });

  it('fails as a whole when there is nothing to run', async () => {
    await expect(startFolderGuest({ tree, directory })).rejects.toThrow('ENOENT');
    expect(readdirSync(base)).toEqual(['tree']);
  });
});
