import { existsSync, statSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DomainChanges, KeptLog } from '../../../test/domain-changes.ts';
import { hasLibvirtd, TestLibvirtd } from '../../../test/libvirtd.ts';
import type { HostDomain } from '../port.ts';
import { PORT_NAME } from './domain-xml.ts';
import { LibvirtDriver, type LibvirtOptions } from './driver.ts';

const channel = (type: string, source: string): string =>
  `<channel type='${type}'>${source}<target type='virtio' name='${PORT_NAME}'/></channel>`;

describe.runIf(hasLibvirtd())('the guests of a libvirtd', () => {
  let libvirtd: TestLibvirtd;
  let driver: LibvirtDriver;
  let changes: DomainChanges;
  let log: KeptLog;

  function connect(options: Partial<LibvirtOptions> = {}): LibvirtDriver {
    log = new KeptLog();
    const pace = { pollMs: 100, backoffMs: { first: 20, longest: 100 } };
    driver = new LibvirtDriver({ uri: libvirtd.uri, logger: log, ...pace, ...options });
    changes = new DomainChanges(driver);
    return driver;
  }

  async function named(name: string): Promise<HostDomain> {
    const found = (await driver.listDomains()).find((one) => one.name === name);
    if (found === undefined) throw new Error(`no domain ${name}`);
    return found;
  }

  async function remove({ id, persistent }: HostDomain): Promise<void> {
    await driver.destroy(id);
    if (persistent) await driver.undefine(id);
  }

  beforeAll(async () => {
    libvirtd = await TestLibvirtd.start();
  });
  afterAll(() => libvirtd[Symbol.asyncDispose]());
  beforeEach(async () => {
    await connect().listDomains();
  });
  afterEach(async () => {
    await Promise.all((await driver.listDomains()).map(remove));
    await driver.close();
  });

  describe('get the channel', () => {
    it('live and for later starts, and give it back', async () => {
      libvirtd.define({ name: 'web one' });
      libvirtd.virsh('start', 'web one');
      await changes.next('started', 'web one');
      const { id } = await named('web one');

      expect(await driver.attach(id)).toEqual({ live: true, persistent: true, needsRestart: false });
      const { socket, port } = await named('web one');
      expect(port).not.toBe('absent');
      expect(statSync(socket ?? '').isSocket()).toBe(true);
      expect(await driver.attach(id)).toEqual({ live: false, persistent: false, needsRestart: false });

      await driver.destroy(id);
      expect(await named('web one')).not.toHaveProperty('socket');
      await driver.start(id);
      expect((await named('web one')).socket).toMatch(/org\.lazaret\.agent\.0$/);

      expect(await driver.detach(id)).toEqual({ live: true, persistent: true, needsRestart: false });
      expect(await named('web one')).toMatchObject({ port: 'absent' });
      expect(existsSync(socket ?? '')).toBe(false);
      expect(await driver.detach(id)).toEqual({ live: false, persistent: false, needsRestart: false });
      expect(libvirtd.virsh('dumpxml', '--inactive', 'web one')).not.toContain(PORT_NAME);
    });

    it('from their next start on where there is no controller to plug into', async () => {
      libvirtd.define({ name: 'bare', controller: false });
      libvirtd.virsh('start', 'bare');
      await changes.next('started', 'bare');
      const { id } = await named('bare');
      expect(await driver.attach(id)).toEqual({ live: false, persistent: true, needsRestart: true });
      expect(await named('bare')).toMatchObject({ port: 'absent' });
      await driver.destroy(id);
      await driver.start(id);
      expect((await named('bare')).socket).toBeDefined();
    });

    it('live alone where they are forgotten when they stop', async () => {
      const file = libvirtd.file('transient.xml', libvirtd.xml({ name: 'transient' }));
      libvirtd.virsh('create', file);
      await changes.next('started', 'transient');
      const { id, persistent } = await named('transient');
      expect(persistent).toBe(false);
      expect(await driver.attach(id)).toEqual({ live: true, persistent: false, needsRestart: false });
      await driver.destroy(id);
      await changes.next('undefined', 'transient');
      expect(await driver.listDomains()).toEqual([]);
    });

    it.each([
      ['tcp', channel('tcp', `<source mode='bind' host='127.0.0.1' service='0'/>`)],
      ['pty', channel('pty', '')],
    ])('not where a port of its name is another’s: %s', async (_type, devices) => {
      libvirtd.define({ name: 'taken', devices });
      await changes.next('defined', 'taken');
      const { id, fault, port } = await named('taken');
      expect({ port, code: fault?.code }).toEqual({ port: 'absent', code: 'port-in-use' });
      await expect(driver.attach(id)).rejects.toMatchObject({
        code: 'port-in-use',
        message: expect.stringMatching(/^taken: /),
      });
      expect(log.matching(/taken/)).toHaveLength(1);
      await driver.detach(id);
      expect(libvirtd.virsh('dumpxml', 'taken')).toContain(PORT_NAME);
    });

    it('where their names are odd', async () => {
      for (const name of ['a &amp; b', 'ärger 🚢', "it's"]) libvirtd.define({ name });
      for (const name of ['a & b', 'ärger 🚢', "it's"]) {
        await changes.where(({ domain }) => domain.name === name);
        const { id } = await named(name);
        await driver.attach(id);
        await driver.start(id);
        expect(statSync((await named(name)).socket ?? '').isSocket()).toBe(true);
      }
    });
  });

  describe('are started and stopped', () => {
    it('each verb ending in its state, and telling so', async () => {
      libvirtd.define({ name: 'vm' });
      const { id } = (await changes.next('defined')).domain;
      for (const [verb, kind, state] of [
        ['start', 'started', 'running'],
        ['pause', 'paused', 'paused'],
        ['resume', 'resumed', 'running'],
        ['destroy', 'stopped', 'off'],
        ['start', 'started', 'running'],
        ['destroy', 'stopped', 'off'],
      ] as const) {
        await driver[verb](id);
        expect(await named('vm')).toMatchObject({ state });
        await changes.next(kind, 'vm');
        await driver[verb](id).catch((error) => expect(error.code).toBe('not-running'));
        expect(await named('vm')).toMatchObject({ state });
      }
      expect((await named('vm')).generation).toBe(3);
      await driver.undefine(id);
      await changes.next('undefined', 'vm');
      expect(await driver.listDomains()).toEqual([]);
    });

    it('or say why not', async () => {
      libvirtd.define({ name: 'vm' });
      const { id } = (await changes.next('defined')).domain;
      for (const verb of ['pause', 'resume'] as const) {
        await expect(driver[verb](id)).rejects.toMatchObject({ code: 'not-running' });
      }
      await driver.start(id);
      await driver.stop(id);
      await expect(driver.undefine(id)).rejects.toMatchObject({ code: 'still-running' });
      await driver.pause(id);
      await expect(driver.start(id)).rejects.toMatchObject({ code: 'still-running' });
      const nobody = '00000000-0000-4000-8000-000000000000';
      await expect(driver.start(nobody)).rejects.toMatchObject({ code: 'no-such-domain' });
      await expect(driver.attach('x')).rejects.toMatchObject({ code: 'refused' });
    });

    it('and a QEMU that dies has crashed', async () => {
      libvirtd.define({ name: 'vm' });
      const { id } = (await changes.next('defined')).domain;
      await driver.start(id);
      libvirtd.signalGuest('vm', 'SIGKILL');
      await changes.next('crashed', 'vm');
      expect(await named('vm')).toMatchObject({ state: 'off' });
    });

    it('and go back to snapshots, which is another generation', async () => {
      libvirtd.define({ name: 'vm', devices: libvirtd.disk('vm') });
      const { id } = (await changes.next('defined')).domain;
      await driver.attach(id);
      await driver.start(id);
      expect(await driver.snapshots(id)).toEqual([]);
      await driver.snapshot(id, 'clean state');
      await driver.pause(id);
      await driver.snapshot(id, 'second');
      expect(await driver.snapshots(id)).toMatchObject([
        { name: 'clean state', state: 'running', current: false },
        { name: 'second', state: 'paused', current: true },
      ]);
      const { generation } = await named('vm');
      await driver.revert(id, 'clean state');
      const reverted = await changes.next('reverted', 'vm');
      expect(reverted.domain.generation).toBeGreaterThan(generation);
      expect(await named('vm')).toMatchObject({ state: 'running', socket: expect.any(String) });
      await driver.destroy(id);
      await driver.revert(id, 'second');
      await changes.next('reverted', 'vm');
      expect(await named('vm')).toMatchObject({ state: 'paused' });
    });

    it('and say which snapshots cannot be', async () => {
      libvirtd.define({ name: 'vm', devices: libvirtd.disk('vm') });
      const { id } = (await changes.next('defined')).domain;
      await driver.snapshot(id, 'one');
      await expect(driver.snapshot(id, 'one')).rejects.toMatchObject({ code: 'snapshot-exists' });
      await expect(driver.revert(id, 'two')).rejects.toMatchObject({ code: 'no-such-snapshot' });
      for (const name of ['', '../x', '-x', 'a\nb', '<a/>', 'x'.repeat(129)]) {
        await expect(driver.snapshot(id, name)).rejects.toMatchObject({ code: 'invalid-request' });
      }
    });
  });

  describe('are followed', () => {
    it('when they are renamed and redefined', async () => {
      libvirtd.define({ name: 'old' });
      const { id } = (await changes.next('defined')).domain;
      libvirtd.virsh('domrename', 'old', 'new');
      expect((await changes.next('redefined')).domain).toMatchObject({ id, name: 'new' });
      libvirtd.virsh('desc', '--title', '--config', 'new', 'A & B');
      expect((await changes.next('redefined')).domain).toMatchObject({ id, title: 'A & B' });
      const tenant = `<tenant name='acme'/>`;
      libvirtd.virsh('metadata', 'new', '--config', '--uri', 'urn:t', '--key', 't', '--set', tenant);
      expect((await changes.next('redefined')).domain.metadata).toEqual([
        { namespace: 'urn:t', name: 'tenant', attributes: { name: 'acme' }, text: '' },
      ]);
      libvirtd.define({ name: 'new', uuid: id, devices: channel('pty', '') });
      expect((await changes.next('redefined')).domain.fault).toMatchObject({ code: 'port-in-use' });
      libvirtd.define({ name: 'new', uuid: id });
      expect((await changes.next('redefined')).domain).not.toHaveProperty('fault');
      expect(await driver.listDomains()).toHaveLength(1);
      expect(changes.kinds()).not.toContain('undefined');
    });

    it('by the dozen', async () => {
      const names = Array.from({ length: 24 }, (_, index) => `vm-${String(index).padStart(2, '0')}`);
      for (const name of names) libvirtd.define({ name });
      await changes.where(({ domain }) => domain.name === names.at(-1));
      const all = await driver.listDomains();
      expect(all.map(({ name }) => name)).toEqual(names);
      await Promise.all(all.map(({ id }) => driver.attach(id)));
      expect((await driver.listDomains()).every(({ port }) => port === 'disconnected')).toBe(true);
      await Promise.all(all.slice(0, 6).map(({ id }) => driver.start(id)));
      expect((await driver.listDomains()).filter(({ socket }) => socket)).toHaveLength(6);
    });

    it('while one of them hangs', async () => {
      await driver.close();
      await connect({ deadlineMs: 5000, actionDeadlineMs: 3000 }).listDomains();
      for (const name of ['hangs', 'works']) libvirtd.define({ name });
      const hangs = (await changes.next('defined', 'hangs')).domain;
      const works = (await changes.next('defined', 'works')).domain;
      await Promise.all([driver.start(hangs.id), driver.start(works.id)]);
      libvirtd.signalGuest('hangs', 'SIGSTOP');
      const stuck = expect(driver.pause(hangs.id)).rejects.toMatchObject({ code: 'hypervisor-timeout' });
      await driver.pause(works.id);
      await changes.next('paused', 'works');
      await driver.resume(works.id);
      await changes.next('resumed', 'works');
      await stuck;
      expect(driver.status.state).toBe('connected');
      libvirtd.signalGuest('hangs', 'SIGCONT');
      await changes.next('paused', 'hangs');
    });

    it('across the end and return of libvirtd', async () => {
      for (const name of ['stays', 'stops', 'goes']) libvirtd.define({ name });
      for (const name of ['stays', 'stops']) libvirtd.virsh('start', name);
      await changes.next('started', 'stops');
      const before = await named('stays');
      await libvirtd.kill();
      await expect
        .poll(() => driver.status)
        .toMatchObject({
          state: 'reconnecting',
          error: { code: 'connection-failed' },
        });
      expect((await driver.listDomains()).map(({ name }) => name)).toEqual(['goes', 'stays', 'stops']);
      await expect(driver.pause(before.id)).rejects.toMatchObject({ code: 'connection-failed' });
      libvirtd.signalGuest('stops', 'SIGKILL');
      await libvirtd.launch();

      await changes.where(({ kind, domain }) => domain.name === 'stops' && kind === 'crashed');
      expect(driver.status.state).toBe('connected');
      expect(await named('stays')).toEqual(before);
      libvirtd.virsh('suspend', 'stays');
      await changes.next('paused', 'stays');
      libvirtd.virsh('undefine', 'goes');
      await changes.next('undefined', 'goes');
      // Once when it went, and once for another reason; not with every try.
      expect(log.matching(/^not connected/).length).toBeLessThanOrEqual(2);
      expect(log.matching(/^connected/)).toHaveLength(2);
    });

    it('again when a libvirtd that hung does not any more', async () => {
      await driver.close();
      await connect({ deadlineMs: 1000, actionDeadlineMs: 3000 }).listDomains();
      libvirtd.define({ name: 'vm' });
      const { id } = (await changes.next('defined')).domain;
      await driver.start(id);
      libvirtd.signal('SIGSTOP');
      await expect(driver.pause(id)).rejects.toMatchObject({ code: 'hypervisor-timeout' });
      await expect
        .poll(() => driver.status, { timeout: 10_000 })
        .toMatchObject({
          state: 'reconnecting',
          error: { code: 'hypervisor-timeout' },
        });
      libvirtd.signal('SIGCONT');
      await expect.poll(() => driver.status.state, { timeout: 10_000 }).toBe('connected');
      await driver.resume(id);
      expect(await named('vm')).toMatchObject({ state: 'running' });
    });
  });
});
