import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOCK, SpoolDirectory } from './spool-directory.ts';

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'spool-directory-test-'));
});
afterEach(() => rmSync(parent, { recursive: true }));

/** A process that makes one, says where, and ends only when it is killed. */
async function holder(): Promise<{ path: string; kill: () => Promise<void> }> {
  const module = new URL('./spool-directory.ts', import.meta.url).href;
  const program = `
    const { SpoolDirectory } = await import(${JSON.stringify(module)});
    const { path } = globalThis.held = SpoolDirectory.create(${JSON.stringify(parent)});
    setInterval(() => undefined, 1000);
    console.log(path);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [path] = (await once(child.stdout, 'data')) as [Buffer];
  const kill = async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
  };
  return { path: path.toString().trim(), kill };
}

describe('a spool directory', () => {
  it('is removed with what lies in it', () => {
    const directory = SpoolDirectory.create(parent);
    writeFileSync(join(directory.path, '1'), 'content');
    directory[Symbol.dispose]();
    expect(readdirSync(parent)).toEqual([]);
  });

  it('outlives the making of others while its process lives, and is removed by them after a crash', async () => {
    const { path, kill } = await holder();
    try {
      writeFileSync(join(path, '1'), 'content');
      using own = SpoolDirectory.create(parent);
      SpoolDirectory.create(parent)[Symbol.dispose]();
      expect(existsSync(join(path, '1')) && existsSync(own.path)).toBe(true);
    } finally {
      await kill();
    }
    expect(existsSync(path)).toBe(true);
    using next = SpoolDirectory.create(parent);
    expect(readdirSync(parent).map((name) => join(parent, name))).toEqual([next.path]);
  });

  it('leaves alone what is not its own, or not like it', () => {
    const elsewhere = join(parent, 'elsewhere');
    mkdirSync(elsewhere, { mode: 0o700 });
    writeFileSync(join(elsewhere, LOCK), '');
    symlinkSync(elsewhere, join(parent, 'lazaret-spool-link'));
    const open = join(parent, 'lazaret-spool-open');
    mkdirSync(open);
    chmodSync(open, 0o755);
    writeFileSync(join(open, LOCK), '');
    const older = join(parent, 'lazaret-spool-older');
    mkdirSync(older, { mode: 0o700 });
    writeFileSync(join(older, '1'), 'content');
    writeFileSync(join(parent, 'lazaret-spool-file'), '');
    const before = readdirSync(parent);
    SpoolDirectory.create(parent)[Symbol.dispose]();
    expect(readdirSync(parent)).toEqual(before);
    expect(existsSync(join(elsewhere, LOCK)) && existsSync(join(older, '1'))).toBe(true);
  });
});
