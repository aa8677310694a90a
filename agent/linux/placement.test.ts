/** What a process shows as the path of its program, and what that is worth. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { MOUNT_NAMESPACES, RunningProgram, writeProgram } from '../testing/namespace.ts';
import { TempDirectory } from '../testing/tree.ts';
import { Placement } from './placement.ts';
import { type Executable, readExecutable } from './process.ts';
import { Root } from './root.ts';

const mountable = spawnSync('unshare', ['-m', 'true']).status === 0;
const ROOT = { what: 'the right to mount', there: mountable, get: 'run as root with CAP_SYS_ADMIN' };

interface Seen {
  readonly executable: Executable;
  readonly isPlaced: boolean;
  readonly isForeign: boolean | undefined;
}

function look({ pid }: RunningProgram, path = '/'): Seen {
  const root = new Root(path);
  try {
    const placement = new Placement(root);
    const executable = readExecutable(pid);
    if (!executable) throw new Error('its executable cannot be told');
    return { executable, isPlaced: placement.isPlaced(executable), isForeign: placement.isForeign(pid) };
  } finally {
    closeSync(root.descriptor);
  }
}

/** A directory with a program, and a place that it can be mounted over. */
class Stage extends TempDirectory {
  readonly evil = join(this.path, 'evil');
  readonly place = join(this.path, 'bin', 'bash');

  constructor() {
    super();
    mkdirSync(join(this.path, 'bin'));
    writeProgram(this.evil, 'evil');
    writeProgram(this.place, 'a shell');
  }
}

describe('a program in the guest’s own namespace', () => {
  it('stands where it says, also when it is deleted', async () => {
    using stage = new Stage();
    await using program = await RunningProgram.run(stage.evil);
    for (const root of ['/', stage.path]) {
      expect(look(program, root)).toMatchObject({ isPlaced: true, isForeign: false });
    }
    rmSync(stage.evil);
    const { executable, isPlaced } = look(program);
    expect([executable.path.toString(), executable.deleted, isPlaced]).toEqual([stage.evil, true, true]);
  });
});

describe.runIf(need(MOUNT_NAMESPACES))('a program in a namespace of its own', () => {
  it('that is mounted over another does not stand where it says', async () => {
    using stage = new Stage();
    const script = 'mount --bind "$1" "$0"';
    await using program = await RunningProgram.runIn(script, stage.place, stage.evil);
    const { executable, isPlaced, isForeign } = look(program);
    expect(executable.path.toString()).toBe(stage.place);
    expect(executable.ino).toBe(String(statSync(stage.evil, { bigint: true }).ino));
    expect([isPlaced, isForeign]).toEqual([false, true]);
    expect(look(program, stage.path).isPlaced).toBe(false);
  });

  it('nor does it when its file is deleted then', async () => {
    using stage = new Stage();
    const own = join(stage.path, 'own');
    mkdirSync(own);
    writeProgram(join(own, 'bash'), 'evil');
    const script = 'mount --bind "$1" "$2"';
    await using program = await RunningProgram.runIn(script, stage.place, own, join(stage.path, 'bin'));
    rmSync(join(own, 'bash'));
    const { executable, isPlaced } = look(program);
    expect([executable.path.toString(), executable.deleted]).toEqual([stage.place, true]);
    expect(isPlaced).toBe(false);
  });

  it('stands where it says when the guest has the same file there, as with a service that has its own /tmp', async () => {
    using stage = new Stage();
    await using program = await RunningProgram.runIn('mount -t tmpfs x /mnt', stage.place);
    expect(look(program)).toMatchObject({ isPlaced: true, isForeign: true });
  });

  it('that is run from outside through its descriptor does not stand where it says', async () => {
    using stage = new Stage();
    const script = 'mount --bind "$1" "$0"';
    await using holder = await RunningProgram.runIn(script, stage.place, stage.evil);
    await using program = await RunningProgram.run(`/proc/${holder.pid}/root${stage.place}`);
    const { executable, isPlaced, isForeign } = look(program);
    expect(executable.path.toString()).toBe(stage.place);
    expect([isPlaced, isForeign]).toEqual([false, false]);
  });
});

describe.runIf(need(ROOT))('a program on a mount that was taken off while it runs', () => {
  it('does not stand where it says', async () => {
    using stage = new Stage();
    const mount = join(stage.path, 'mount');
    mkdirSync(mount);
    spawnSync('mount', ['-t', 'tmpfs', 'x', mount]);
    const shown = join(mount, 'usr', 'bin', 'bash');
    mkdirSync(join(mount, 'usr', 'bin'), { recursive: true });
    writeProgram(shown, 'evil');
    await using program = await RunningProgram.run(shown);
    expect(look(program).isPlaced).toBe(true);
    spawnSync('umount', ['-l', mount]);
    const { executable, isPlaced, isForeign } = look(program);
    expect(executable.path.toString()).toBe('/usr/bin/bash');
    expect([isPlaced, isForeign]).toEqual([false, false]);
  });
});
