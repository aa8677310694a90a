/**
 * The whole line through the built programs, as a user would: a real guest under QEMU is scanned, contained,
 * restored, patched, rebooted and scanned again. What the guest is like is seen past the agent, on its serial
 * console and on its disk.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { editDisk, inspectDisk } from '../../demo/guest/disk.ts';
import { findGuestParts } from '../../demo/guest/parts.ts';
import { bootGuest, type QemuGuest } from '../../demo/guest/qemu.ts';
import { installSystem } from '../../demo/guest/system.ts';
import { packageRoot } from '../../demo/package-root.ts';
import { EICAR_PATH, RUNNING_IMPLANT_PATH, STARTER_PATH, samples } from '../../demo/samples.ts';
import { DEMO_HASHES, DEMO_PATCH, DEMO_RULES, faultsOf, PACKED_AGENT } from '../../demo/stage.ts';
import { plantTree } from '../../demo/tree.ts';
import { need } from '../need.ts';

const PROGRAM = join(packageRoot, 'dist', 'core', 'main.js');
const SSHD_CONFIG = '/etc/ssh/sshd_config';

const found = findGuestParts();
const ready = need(
  {
    what: 'a virtual machine',
    there: !found.missing,
    get: (found.missing ?? []).map(({ get }) => get).join('; '),
  },
  { what: 'the packed agent', there: existsSync(PACKED_AGENT), get: 'npm run build:agent' },
  { what: 'the built program', there: existsSync(PROGRAM), get: 'npm run build' },
);

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe.runIf(ready)('a real guest, from the command line', { timeout: 240_000 }, () => {
  let directory: string;
  let guest: QemuGuest;
  /** EICAR as it was planted. */
  let untouched: { readonly facts: string; readonly attribute: string };

  const lazaret = (...args: string[]): Promise<Ended> => {
    const { promise, resolve } = Promise.withResolvers<Ended>();
    const line = [
      '--disable-warning=ExperimentalWarning',
      PROGRAM,
      '--config',
      join(directory, 'lazaret.yaml'),
    ];
    execFile(process.execPath, [...line, ...args], (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
    return promise;
  };
  const lines = (text: string): Record<string, unknown>[] =>
    text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
  const factsOf = async (path: string): Promise<string> => (await guest.ask('stat', path)).output.toString();
  const implants = async (): Promise<string[]> =>
    (await guest.executables()).filter((path) => path.startsWith(RUNNING_IMPLANT_PATH));
  const attributeOf = async (path: string): Promise<string> => {
    await guest.ask('sync');
    return inspectDisk(guest.parts, guest.image, `ea_get ${path} user.origin`);
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lazaret-end-to-end-'));
    guest = await bootInfected(directory);
    writeFileSync(join(directory, 'lazaret.yaml'), configuration(directory, guest));
    untouched = { facts: await factsOf(EICAR_PATH), attribute: await attributeOf(EICAR_PATH) };
    expect(untouched.facts).toMatch(/^640 1000 1000 68 1500000000 1600000000$/m);
    expect(untouched.attribute).toContain('downloaded');
  }, 240_000);

  afterAll(async () => {
    await guest?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('finds, stops and contains', async () => {
    expect(await implants()).toHaveLength(1);
    const scan = await lazaret('scan', '--mode', 'contain');
    expect(scan, scan.stderr).toMatchObject({ status: 1 });
    for (const { path } of samples()) {
      expect(scan.stdout).toContain(path);
      expect(await guest.read(path), path).toBeUndefined();
    }
    expect(await implants()).toEqual([]);
  });

  it('puts a contained file back as it was: content, owner, mode, times and attributes', async () => {
    const held = lines((await lazaret('quarantine', 'list', '--json')).stdout);
    const expected = [...samples().map(({ path }) => path), STARTER_PATH];
    expect(held.map(({ path }) => path).toSorted()).toEqual(expected.toSorted());
    const id = String(held.find(({ path }) => path === EICAR_PATH)?.id);
    const restored = await lazaret('quarantine', 'restore', id);
    expect(restored, restored.stderr).toMatchObject({ status: 0 });
    expect(await factsOf(EICAR_PATH)).toBe(untouched.facts);
    expect(await attributeOf(EICAR_PATH)).toBe(untouched.attribute);
    expect(await guest.read(EICAR_PATH)).toEqual(samples().find(({ path }) => path === EICAR_PATH)?.content);
  });

  it('shows what was negotiated', async () => {
    const page = (await lazaret('vm', 'show', 'demo-guest')).stdout;
    expect(page).toContain(guest.uuid);
    expect(page).toMatch(/contain:file +D3-CQ/);
    expect(page).toMatch(/stop:process +D3-PT/);
  });

  it('patches', async () => {
    const before = await factsOf(SSHD_CONFIG);
    const patch = await lazaret('patch', 'apply', 'demo-guest', DEMO_PATCH);
    expect(patch, patch.stderr).toMatchObject({ status: 0 });
    expect((await guest.read(SSHD_CONFIG))?.toString()).toMatch(/^PermitRootLogin no$/m);
    expect((await factsOf(SSHD_CONFIG)).split(' ').slice(0, 3)).toEqual(before.split(' ').slice(0, 3));
  });

  it('keeps all that over a reboot, and ends clean', async () => {
    await guest.reboot();
    const again = await lazaret('scan', '--mode', 'contain');
    expect(again, again.stderr).toMatchObject({ status: 1 });
    expect(again.stdout).toContain(EICAR_PATH);
    expect(again.stdout).toContain('1 malicious');

    const last = await lazaret('scan');
    expect(last, last.stdout + last.stderr).toMatchObject({ status: 0 });
    expect(await faultsOf(guest)).toEqual([]);
  });
});

async function bootInfected(directory: string): Promise<QemuGuest> {
  if (!found.parts) throw new Error('no virtual machine');
  const { parts } = found;
  const tree = join(directory, 'tree');
  plantTree(tree);
  utimesSync(join(tree, EICAR_PATH), 1_500_000_000.5, 1_600_000_000.25);
  installSystem(tree, parts, PACKED_AGENT);
  const prepareImage = async (image: string): Promise<void> => {
    await editDisk(parts, image, `ea_set ${EICAR_PATH} user.origin downloaded`);
    await editDisk(parts, image, `set_inode_field ${EICAR_PATH} uid 1000`);
    await editDisk(parts, image, `set_inode_field ${EICAR_PATH} gid 1000`);
  };
  mkdirSync(join(directory, 'guest'));
  return bootGuest({ parts, tree, directory: join(directory, 'guest'), prepareImage });
}

const configuration = (directory: string, guest: QemuGuest): string =>
  `
state: ${join(directory, 'state')}
vms:
  - name: demo-guest
    socket: ${guest.socket}
    uuid: ${guest.uuid}
policy:
  # The agent is the largest file by far, and what is emulated is slow.
  excludes: [/proc, /sys, /usr/sbin/lazaret-agent]
plugins:
  yara: { rules: [${DEMO_RULES}] }
  hashset: { lists: [${DEMO_HASHES}] }
`;
