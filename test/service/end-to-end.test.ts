/**
 * The service against a real libvirtd with two real guests: a Debian in which the agent's package was installed, and a
 * small system with malware that runs. From nothing but a configuration to both enrolled, scanned, and rid of it.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { handInWays } from '../../core/cli/enrol-ways.ts';
import { buildDisk } from '../../demo/guest/disk.ts';
import { buildInitramfs } from '../../demo/guest/initramfs.ts';
import { installSystem } from '../../demo/guest/system.ts';
import { packageRoot } from '../../demo/package-root.ts';
import { EICAR_PATH, eicar, RUNNING_IMPLANT_PATH } from '../../demo/samples.ts';
import { PACKED_AGENT } from '../../demo/stage.ts';
import { plantTree } from '../../demo/tree.ts';
import { buildDebianImage, type DebianImage } from '../guest/debian/image.ts';
import { debianNeeds, debianParts } from '../guest/debian/parts.ts';
import { type GuestXml, hasLibvirtd, TestLibvirtd } from '../libvirtd.ts';
import { need } from '../need.ts';
import { Serving } from './serving.ts';

/** Two guests boot at once, emulated. */
const PATIENCE_MS = 420_000;
const DEBIAN = '6f1c5f3e-0d0b-4b7a-9d0e-2f9f0c3a1d01';
const SMALL = '6f1c5f3e-0d0b-4b7a-9d0e-2f9f0c3a1d02';
const PATIENT = { resync: '60s', tls: '60s', login: '60s', command: '60s', streamIdle: '60s' };

const ready =
  hasLibvirtd() &&
  need(...debianNeeds(), {
    what: 'the packed agent',
    there: existsSync(PACKED_AGENT),
    get: 'npm run build:agent',
  });

describe.runIf(ready)('the service on a KVM host', { timeout: PATIENCE_MS }, () => {
  let directory: string;
  let libvirtd: TestLibvirtd;
  let serving: Serving;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lazaret-host-'));
    libvirtd = await TestLibvirtd.start();
    await defineGuests(libvirtd, directory);
    serving = await Serving.start(directory, settings(libvirtd.uri));
  }, PATIENCE_MS);

  afterAll(async () => {
    await serving?.[Symbol.asyncDispose]();
    await libvirtd?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  const channelOf = (name: string) =>
    serving.until('the channel', async () => /org\.lazaret\.agent\.0/.test(libvirtd.virsh('dumpxml', name)));

  it('finds the selected guests, and gives them the channel', async () => {
    for (const name of ['debian', 'small']) await channelOf(name);
    expect((await serving.client.vms()).map(({ name, power }) => [name, power]).sort()).toEqual([
      ['debian', 'off'],
      ['small', 'off'],
    ]);
  });

  it('starts them', async () => {
    const { token } = await serving.client.createToken('small');
    const withToken = `${small.more ?? ''}${handInWays(token).libvirtFwCfg}`;
    libvirtd.define({ ...small, more: withToken });
    await channelOf('small');
    expect(await serving.run('vm', 'start', 'debian')).toMatchObject({ code: 0 });
    expect(await serving.run('vm', 'start', 'small')).toMatchObject({ code: 0 });
  });

  it('enrols the one by its token, lets the other wait, and in when an operator says so', async () => {
    await serving.vm('small', ({ connection }) => connection.state === 'connected');
    const waiting = await serving.vm('debian', ({ connection }) => connection.state === 'refused');
    expect(waiting.connection.error?.code).toBe('not-enrolled');
    const [pending] = await serving.client.pendingEnrolments();
    expect(pending?.vm).toEqual({ id: DEBIAN, name: 'debian' });
    expect(await serving.run('enrol', 'debian', '--accept', pending?.fingerprint ?? '')).toMatchObject({
      code: 0,
    });
    await serving.vm('debian', ({ connection }) => connection.state === 'connected');
  });

  it('scans both as soon as it sees them, stops and contains what it finds, and tells of it', async () => {
    for (const name of ['debian', 'small']) {
      const scan = await serving.scanned(name, ({ trigger }) => trigger === 'first-sight');
      expect(scan).toMatchObject({ state: 'finished', mode: 'contain' });
      expect(scan.summary?.malicious).toBeGreaterThan(0);
    }
    const { items } = await serving.client.findings({ limit: 100 });
    const answers = items.map(({ vm, subject, response }) => [
      vm,
      subject.kind === 'file' ? subject.path : subject.executable,
      response,
    ]);
    expect(answers).toContainEqual([DEBIAN, '/srv/upload.com', 'contained']);
    expect(answers).toContainEqual([SMALL, EICAR_PATH, 'contained']);
    expect(answers).toContainEqual([SMALL, RUNNING_IMPLANT_PATH, 'stopped']);
    await serving.until('the events', async () => {
      const told = serving.told();
      const has = (classUid: number, uid: string): boolean =>
        told.some(
          ({ class_uid, device }) =>
            class_uid === classUid && (device as { uid?: string } | undefined)?.uid === uid,
        );
      return (
        [2004, 6007, 7002].every((classUid) => has(classUid, DEBIAN) && has(classUid, SMALL)) &&
        has(7003, SMALL)
      );
    });
    const uids = serving.told().map(({ metadata }) => (metadata as { uid: string }).uid);
    expect(new Set(uids).size).toBe(uids.length);
  });

  it('is clean when it is scanned again by hand, and gives back what is asked for', async () => {
    const again = await serving.run('scan', 'debian', '--json');
    expect(again).toMatchObject({ code: 0 });
    const { items } = await serving.client.quarantine({ vm: 'debian', limit: 10 });
    expect(await serving.run('quarantine', 'restore', items[0]?.id ?? '')).toMatchObject({ code: 0 });
    expect(await serving.run('scan', 'debian', '--mode', 'detect')).toMatchObject({ code: 1 });
  });

  it('goes on with a libvirtd that was killed and started again', async () => {
    await libvirtd.kill();
    await serving.until('it to notice', async () => !(await serving.client.health()).ready);
    await libvirtd.launch();
    await serving.until('it to be there', async () => (await serving.client.health()).ready);
    await serving.run('vm', 'pause', 'small');
    await serving.vm('small', ({ power }) => power === 'paused');
    await serving.run('vm', 'resume', 'small');
    await serving.vm(
      'small',
      ({ power, connection }) => power === 'running' && connection.state === 'connected',
    );
  });

  it('scans a guest anew that was taken back to a snapshot, in a new epoch', async () => {
    const before = epochOf(await serving.run('vm', 'show', 'small', '--json'));
    expect(await serving.run('vm', 'snapshot', 'small', 'clean')).toMatchObject({ code: 0 });
    expect(await serving.run('vm', 'revert', 'small', 'clean')).toMatchObject({ code: 0 });
    expect(await serving.scanned('small', ({ trigger }) => trigger === 'reverted')).toMatchObject({
      state: 'finished',
    });
    expect(epochOf(await serving.run('vm', 'show', 'small', '--json'))).toBeGreaterThan(before);
  });

  it('forgets a guest that is undefined', async () => {
    await serving.run('vm', 'destroy', 'small');
    await serving.vm('small', ({ power }) => power === 'off');
    libvirtd.virsh('undefine', '--snapshots-metadata', 'small');
    await serving.until(
      'it to be gone',
      async () => !(await serving.client.vms()).some(({ name }) => name === 'small'),
    );
  });
});

const epochOf = ({ stdout }: { readonly stdout: string }): number =>
  (JSON.parse(stdout) as { epoch: number }).epoch;

const settings = (uri: string): object => ({
  libvirt: { enabled: true, uri, select: { names: ['debian', 'small'] } },
  policy: { mode: 'contain', deadlines: PATIENT, excludes: ['/proc', '/sys'] },
  enrolment: { mode: 'token' },
  plugins: {
    yara: { rules: [join(packageRoot, 'demo', 'rules')] },
    hashset: { lists: [join(packageRoot, 'demo', 'hashes', 'demo.txt')] },
  },
});

/** Of the small guest, without what is handed in by its firmware. */
let small: GuestXml;

async function defineGuests(libvirtd: TestLibvirtd, directory: string): Promise<void> {
  const parts = debianParts();
  const debian = await buildDebianImage({
    parts,
    directory: join(directory, 'debian'),
    prepare: (root) => writeFileSync(join(root, 'srv', 'upload.com'), eicar()),
  });
  libvirtd.define({ name: 'debian', uuid: DEBIAN, memoryMib: 512, ...hardware(libvirtd, 'debian', debian) });
  const tree = join(directory, 'small-tree');
  mkdirSync(tree);
  plantTree(tree);
  installSystem(tree, parts, PACKED_AGENT);
  const image = {
    ...{ kernel: parts.kernel, append: 'console=ttyS0 panic=-1' },
    initramfs: join(directory, 'small-initramfs'),
    disk: join(directory, 'small.img'),
  };
  await buildDisk(parts, tree, image.disk);
  writeFileSync(image.initramfs, buildInitramfs(parts, ['qemu_fw_cfg']));
  small = { name: 'small', uuid: SMALL, memoryMib: 512, ...hardware(libvirtd, 'small', image) };
  libvirtd.define(small);
}

function hardware(libvirtd: TestLibvirtd, name: string, image: DebianImage): Omit<GuestXml, 'name'> {
  return {
    boot: libvirtd.kernel(name, image),
    devices: `${libvirtd.disk(name, image.disk)}${libvirtd.console(name)}<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>`,
    more: "<features><acpi/></features><cpu mode='maximum'/>",
  };
}
