/** The demo as a user starts it, on a machine that has no QEMU, or does not want it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../../demo/package-root.ts';
import { samples } from '../../demo/samples.ts';
import { need } from '../need.ts';

const PROGRAM = join(packageRoot, 'dist', 'core', 'main.js');
const ready = need({ what: 'the built program', there: existsSync(PROGRAM), get: 'npm run build' });

let base: string;
let child: ChildProcess | undefined;
let output: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'lazaret-demo-test-'));
  output = '';
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(base, { recursive: true, force: true });
});

function start(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  const line = ['--disable-warning=ExperimentalWarning', PROGRAM, 'demo', ...args];
  child = spawn(process.execPath, line, {
    env: { ...process.env, TMPDIR: base, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const listen = (text: Buffer): void => {
    output += text;
  };
  child.stdout?.on('data', listen);
  child.stderr?.on('data', listen);
  return child;
}

/** Resolves when the demo has said this; rejects when it ends without. */
function said(words: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = (): void => {
    if (output.includes(words)) resolve();
  };
  child?.stdout?.on('data', look);
  child?.once('close', () => reject(new Error(`it never said "${words}":\n${output}`)));
  return promise;
}

/** Programs that still run from below the demo's folder. */
const leftRunning = (): string[] =>
  readdirSync('/proc').flatMap((pid) => {
    try {
      const path = /^\d+$/.test(pid) ? readlinkSync(join('/proc', pid, 'exe')) : '';
      return path.startsWith(base) ? [path] : [];
    } catch {
      return [];
    }
  });

function expectNothingLeft(): void {
  expect(readdirSync(base)).toEqual([]);
  expect(leftRunning()).toEqual([]);
}

describe.runIf(ready)('lazaret demo', { timeout: 60_000 }, () => {
  it('shows the whole method without a virtual machine, and leaves nothing behind', async () => {
    const [status] = await once(start(['--without-qemu']), 'close');
    expect(status, output).toBe(0);
    for (const { path } of samples()) expect(output).toContain(`contain:file (D3-CQ)  ${path}  done`);
    expect(output).toMatch(/stop:process \(D3-PT\) {2}pid \d+ {2}done/);
    expect(output).toMatch(/update:file \(D3-SU\) {2}\/etc\/ssh\/sshd_config {2}done/);
    expect(output).toContain('Found, stopped, contained and patched; the second scan is clean.');
    expectNothingLeft();
  });

  it('says what keeps it from booting a guest, and goes on without', async () => {
    const [status] = await once(start([], { PATH: base }), 'close');
    expect(status, output).toBe(0);
    expect(output).toContain('no virtual machine: qemu-system-x86_64 is missing: apt-get install');
    expectNothingLeft();
  });

  it('leaves nothing behind when it is interrupted', async () => {
    const demo = start(['--without-qemu']);
    const closed = once(demo, 'close');
    await said('2. ');
    demo.kill('SIGINT');
    const [status] = await closed;
    expect(status, output).toBe(130);
    expectNothingLeft();
  });
});
