/** systemd's own word on the units, as far as it can be had without running them. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../demo/package-root.ts';
import { need } from '../test/need.ts';

const UNITS = join(packageRoot, 'config', 'systemd');
const PLACE = 'usr/lib/systemd/system';
/** What `Exec…=` lines of the units start. */
const PROGRAMS = ['usr/bin/lazaret', 'usr/bin/lazaret-agent', 'bin/kill'];

const ready = need({ program: 'systemd-analyze', get: 'apt-get install systemd' });

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'units-'));
  for (const path of PROGRAMS) placeProgram(join(root, path));
  mkdirSync(join(root, PLACE), { recursive: true });
  for (const name of ['lazaret.service', 'lazaret-agent.service']) {
    copyFileSync(join(UNITS, name), join(root, PLACE, name));
  }
});
afterEach(() => rmSync(root, { recursive: true }));

function placeProgram(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, 0o755);
}

interface Answer {
  readonly status: number | null;
  readonly output: string;
}

function analyze(...args: string[]): Answer {
  const options = { encoding: 'utf8', env: { PATH: process.env.PATH, LC_ALL: 'C' } } as const;
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, options);
  return { status, output: stdout + stderr };
}

const verify = (unit: string): Answer =>
  analyze('verify', '--man=no', '--recursive-errors=no', `--root=${root}`, unit);

/** `most` is ten times what systemd shows: 20 is an exposure of 2.0. */
const expose = (unit: string, most: number): Answer =>
  analyze('security', '--no-pager', '--offline=yes', `--threshold=${most}`, join(root, PLACE, unit));

function change(unit: string, from: RegExp, to: string): void {
  const path = join(root, PLACE, unit);
  const text = readFileSync(path, 'utf8');
  expect(text).toMatch(from);
  writeFileSync(path, text.replace(from, to));
}

describe.runIf(ready)('the unit of the host service', () => {
  const unit = 'lazaret.service';

  it('is understood by systemd whole', () => {
    expect(verify(unit)).toEqual({ status: 0, output: '' });
  });

  it('has an exposure of at most 2.0', () => {
    const { status, output } = expose(unit, 20);
    expect(status, output).toBe(0);
  });

  it('leaves the engines what bwrap needs to confine them further', () => {
    const keys = readFileSync(join(UNITS, unit), 'utf8').match(/^[A-Za-z]+(?==)/gm) ?? [];
    const harmful = [
      'ProtectKernelTunables',
      'ProtectKernelLogs',
      'ProtectHostname',
      'ProcSubset',
      'RestrictSUIDSGID',
    ];
    expect(keys).toContain('ProtectSystem');
    expect(keys.filter((key) => harmful.includes(key))).toEqual([]);
  });

  it('would not pass with a key that systemd does not know, without its program, or less confined', () => {
    change(unit, /^PrivateTmp=/m, 'PrivateTemp=');
    expect(verify(unit).output).toContain("Unknown key 'PrivateTemp'");
    expect(expose(unit, 20).status).not.toBe(0);
    rmSync(join(root, 'usr/bin/lazaret'));
    expect(verify(unit).output).toContain('/usr/bin/lazaret is not executable');
  });
});

describe.runIf(ready)('the unit of the agent', () => {
  const unit = 'lazaret-agent.service';

  it('is understood by systemd whole', () => {
    expect(verify(unit)).toEqual({ status: 0, output: '' });
  });

  it('is as confined as root can be that acts on all files and processes', () => {
    const { status, output } = expose(unit, 45);
    expect(status, output).toBe(0);
  });

  it('starts with the port, and is bound to it', () => {
    const device = String.raw`dev-virtio\x2dports-org.lazaret.agent.0.device`;
    const text = readFileSync(join(UNITS, unit), 'utf8');
    for (const key of ['BindsTo', 'After', 'WantedBy']) expect(text).toContain(`\n${key}=${device}\n`);
  });
});
