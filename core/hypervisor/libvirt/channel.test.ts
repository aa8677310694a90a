import { existsSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DrivenLibvirtd } from '../../../test/driven-libvirtd.ts';
import { hasLibvirtd } from '../../../test/libvirtd.ts';
import { PORT_NAME } from './domain-xml.ts';

const channel = (type: string, source: string): string =>
  `<channel type='${type}'>${source}<target type='virtio' name='${PORT_NAME}'/></channel>`;

describe.runIf(hasLibvirtd())('guests of a libvirtd get the channel', () => {
  const host = DrivenLibvirtd.forEachTest();

  it('live and for later starts, and give it back', async () => {
    host.libvirtd.define({ name: 'web one' });
    host.libvirtd.virsh('start', 'web one');
    await host.changes.next('started', 'web one');
    const { id } = await host.named('web one');

    expect(await host.driver.attach(id)).toEqual({ live: true, persistent: true, needsRestart: false });
    const { socket, port } = await host.named('web one');
    expect(port).not.toBe('absent');
    expect(statSync(socket ?? '').isSocket()).toBe(true);
    expect(await host.driver.attach(id)).toEqual({ live: false, persistent: false, needsRestart: false });

    await host.driver.destroy(id);
    expect(await host.named('web one')).not.toHaveProperty('socket');
    await host.driver.start(id);
    expect((await host.named('web one')).socket).toMatch(/org\.lazaret\.agent\.0$/);

    expect(await host.driver.detach(id)).toEqual({ live: true, persistent: true, needsRestart: false });
    expect(await host.named('web one')).toMatchObject({ port: 'absent' });
    expect(existsSync(socket ?? '')).toBe(false);
    expect(await host.driver.detach(id)).toEqual({ live: false, persistent: false, needsRestart: false });
    expect(host.libvirtd.virsh('dumpxml', '--inactive', 'web one')).not.toContain(PORT_NAME);
  });

  it('from their next start on where there is no controller to plug into', async () => {
    host.libvirtd.define({ name: 'bare', controller: false });
    host.libvirtd.virsh('start', 'bare');
    await host.changes.next('started', 'bare');
    const { id } = await host.named('bare');
    expect(await host.driver.attach(id)).toEqual({ live: false, persistent: true, needsRestart: true });
    expect(await host.named('bare')).toMatchObject({ port: 'absent' });
    await host.driver.destroy(id);
    await host.driver.start(id);
    expect((await host.named('bare')).socket).toBeDefined();
  });

  it('live alone where they are forgotten when they stop', async () => {
    const file = host.libvirtd.file('transient.xml', host.libvirtd.xml({ name: 'transient' }));
    host.libvirtd.virsh('create', file);
    await host.changes.next('started', 'transient');
    const { id, persistent } = await host.named('transient');
    expect(persistent).toBe(false);
    expect(await host.driver.attach(id)).toEqual({ live: true, persistent: false, needsRestart: false });
    await host.driver.destroy(id);
    await host.changes.next('undefined', 'transient');
    expect(await host.driver.listDomains()).toEqual([]);
  });

  it.each([
    ['tcp', channel('tcp', `<source mode='bind' host='127.0.0.1' service='0'/>`)],
    ['pty', channel('pty', '')],
  ])('not where a port of its name is another’s: %s', async (_type, devices) => {
    host.libvirtd.define({ name: 'taken', devices });
    await host.changes.next('defined', 'taken');
    const { id, fault, port } = await host.named('taken');
    expect({ port, code: fault?.code }).toEqual({ port: 'absent', code: 'port-in-use' });
    await expect(host.driver.attach(id)).rejects.toMatchObject({
      code: 'port-in-use',
      message: expect.stringMatching(/^taken: /),
    });
    expect(host.log.matching(/taken/)).toHaveLength(1);
    await host.driver.detach(id);
    expect(host.libvirtd.virsh('dumpxml', 'taken')).toContain(PORT_NAME);
  });

  it('where their names are odd', async () => {
    for (const name of ['a &amp; b', 'ärger 🚢', "it's"]) host.libvirtd.define({ name });
    for (const name of ['a & b', 'ärger 🚢', "it's"]) {
      await host.changes.where(({ domain }) => domain.name === name);
      const { id } = await host.named(name);
      await host.driver.attach(id);
      await host.driver.start(id);
      expect(statSync((await host.named(name)).socket ?? '').isSocket()).toBe(true);
    }
  });
});
