import { describe, expect, it } from 'vitest';
import { DrivenLibvirtd } from '../../../test/driven-libvirtd.ts';
import { hasLibvirtd } from '../../../test/libvirtd.ts';
import { PORT_NAME } from './domain-xml.ts';

describe.runIf(hasLibvirtd())('guests of a libvirtd are followed', () => {
  const host = DrivenLibvirtd.forEachTest();

  it('when they are renamed and redefined', async () => {
    host.libvirtd.define({ name: 'old' });
    const { id } = (await host.changes.next('defined')).domain;
    host.libvirtd.virsh('domrename', 'old', 'new');
    expect((await host.changes.next('redefined')).domain).toMatchObject({ id, name: 'new' });
    host.libvirtd.virsh('desc', '--title', '--config', 'new', 'A & B');
    expect((await host.changes.next('redefined')).domain).toMatchObject({ id, title: 'A & B' });
    const tenant = `<tenant name='acme'/>`;
    host.libvirtd.virsh('metadata', 'new', '--config', '--uri', 'urn:t', '--key', 't', '--set', tenant);
    expect((await host.changes.next('redefined')).domain.metadata).toEqual([
      { namespace: 'urn:t', name: 'tenant', attributes: { name: 'acme' }, text: '' },
    ]);
    host.libvirtd.define({
      name: 'new',
      uuid: id,
      devices: `<channel type='pty'><target type='virtio' name='${PORT_NAME}'/></channel>`,
    });
    expect((await host.changes.next('redefined')).domain.fault).toMatchObject({ code: 'port-in-use' });
    host.libvirtd.define({ name: 'new', uuid: id });
    expect((await host.changes.next('redefined')).domain).not.toHaveProperty('fault');
    expect(await host.driver.listDomains()).toHaveLength(1);
    expect(host.changes.kinds()).not.toContain('undefined');
  });

  it('by the dozen', async () => {
    const names = Array.from({ length: 24 }, (_, index) => `vm-${String(index).padStart(2, '0')}`);
    for (const name of names) host.libvirtd.define({ name });
    await host.changes.where(({ domain }) => domain.name === names.at(-1));
    const all = await host.driver.listDomains();
    expect(all.map(({ name }) => name)).toEqual(names);
    await Promise.all(all.map(({ id }) => host.driver.attach(id)));
    expect((await host.driver.listDomains()).every(({ port }) => port === 'disconnected')).toBe(true);
    await Promise.all(all.slice(0, 6).map(({ id }) => host.driver.start(id)));
    expect((await host.driver.listDomains()).filter(({ socket }) => socket)).toHaveLength(6);
  });

  it('while one of them hangs', async () => {
    await host.reconnect({ deadlineMs: 5000, actionDeadlineMs: 6000 });
    for (const name of ['hangs', 'works']) host.libvirtd.define({ name });
    const hangs = (await host.changes.next('defined', 'hangs')).domain;
    const works = (await host.changes.next('defined', 'works')).domain;
    await Promise.all([host.driver.start(hangs.id), host.driver.start(works.id)]);
    host.libvirtd.signalGuest('hangs', 'SIGSTOP');
    const stuck = expect(host.driver.pause(hangs.id)).rejects.toMatchObject({ code: 'hypervisor-timeout' });
    await host.driver.pause(works.id);
    await host.changes.next('paused', 'works');
    await host.driver.resume(works.id);
    await host.changes.next('resumed', 'works');
    await stuck;
    expect(host.driver.status.state).toBe('connected');
    host.libvirtd.signalGuest('hangs', 'SIGCONT');
    await host.changes.next('paused', 'hangs');
  });

  it('across the end and return of libvirtd', async () => {
    for (const name of ['stays', 'stops', 'goes']) host.libvirtd.define({ name });
    for (const name of ['stays', 'stops']) host.libvirtd.virsh('start', name);
    await host.changes.next('started', 'stops');
    const before = await host.named('stays');
    await host.libvirtd.kill();
    await expect
      .poll(() => host.driver.status)
      .toMatchObject({
        state: 'reconnecting',
        error: { code: 'connection-failed' },
      });
    expect((await host.driver.listDomains()).map(({ name }) => name)).toEqual(['goes', 'stays', 'stops']);
    await expect(host.driver.pause(before.id)).rejects.toMatchObject({ code: 'connection-failed' });
    host.libvirtd.signalGuest('stops', 'SIGKILL');
    await host.libvirtd.launch();

    await host.changes.where(({ kind, domain }) => domain.name === 'stops' && kind === 'crashed');
    expect(host.driver.status.state).toBe('connected');
    expect(await host.named('stays')).toEqual(before);
    host.libvirtd.virsh('suspend', 'stays');
    await host.changes.next('paused', 'stays');
    host.libvirtd.virsh('undefine', 'goes');
    await host.changes.next('undefined', 'goes');
    // Each reason when it begins, not with every try.
    const told = host.log.matching(/^not connected/);
    expect(told.length).toBeGreaterThan(0);
    expect(told.filter((message, index) => message === told[index - 1])).toEqual([]);
    expect(host.log.matching(/^connected/)).toHaveLength(2);
  });

  it('again when a libvirtd that hung does not any more', async () => {
    await host.reconnect({ deadlineMs: 1000, actionDeadlineMs: 6000 });
    host.libvirtd.define({ name: 'vm' });
    const { id } = (await host.changes.next('defined')).domain;
    await host.driver.start(id);
    host.libvirtd.signal('SIGSTOP');
    await expect(host.driver.pause(id)).rejects.toMatchObject({ code: 'hypervisor-timeout' });
    await expect
      .poll(() => host.driver.status, { timeout: 10_000 })
      .toMatchObject({
        state: 'reconnecting',
        error: { code: 'hypervisor-timeout' },
      });
    host.libvirtd.signal('SIGCONT');
    await expect.poll(() => host.driver.status.state, { timeout: 10_000 }).toBe('connected');
    await host.driver.resume(id);
    expect(await host.named('vm')).toMatchObject({ state: 'running' });
  });
});
