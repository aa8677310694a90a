import { describe, expect, it } from 'vitest';
import { DrivenLibvirtd } from '../../../test/driven-libvirtd.ts';
import { hasLibvirtd } from '../../../test/libvirtd.ts';

describe.runIf(hasLibvirtd())('guests of a libvirtd are started and stopped', () => {
  const host = DrivenLibvirtd.forEachTest();

  it('each verb ending in its state, and telling so', async () => {
    host.libvirtd.define({ name: 'vm' });
    const { id } = (await host.changes.next('defined')).domain;
    for (const [verb, kind, state] of [
      ['start', 'started', 'running'],
      ['pause', 'paused', 'paused'],
      ['resume', 'resumed', 'running'],
      ['destroy', 'stopped', 'off'],
      ['start', 'started', 'running'],
      ['destroy', 'stopped', 'off'],
    ] as const) {
      await host.driver[verb](id);
      expect(await host.named('vm')).toMatchObject({ state });
      await host.changes.next(kind, 'vm');
      await host.driver[verb](id).catch((error) => expect(error.code).toBe('not-running'));
      expect(await host.named('vm')).toMatchObject({ state });
    }
    expect((await host.named('vm')).generation).toBe(3);
    await host.driver.undefine(id);
    await host.changes.next('undefined', 'vm');
    expect(await host.driver.listDomains()).toEqual([]);
  });

  it('or say why not', async () => {
    host.libvirtd.define({ name: 'vm' });
    const { id } = (await host.changes.next('defined')).domain;
    for (const verb of ['pause', 'resume'] as const) {
      await expect(host.driver[verb](id)).rejects.toMatchObject({ code: 'not-running' });
    }
    await host.driver.start(id);
    await host.driver.stop(id);
    await expect(host.driver.undefine(id)).rejects.toMatchObject({ code: 'still-running' });
    await host.driver.pause(id);
    await expect(host.driver.start(id)).rejects.toMatchObject({ code: 'still-running' });
    const nobody = '00000000-0000-4000-8000-000000000000';
    await expect(host.driver.start(nobody)).rejects.toMatchObject({ code: 'no-such-domain' });
    await expect(host.driver.attach('x')).rejects.toMatchObject({ code: 'refused' });
  });

  it('and a QEMU that dies has crashed', async () => {
    host.libvirtd.define({ name: 'vm' });
    const { id } = (await host.changes.next('defined')).domain;
    await host.driver.start(id);
    host.libvirtd.signalGuest('vm', 'SIGKILL');
    await host.changes.next('crashed', 'vm');
    expect(await host.named('vm')).toMatchObject({ state: 'off' });
  });

  it('and go back to snapshots, which is another generation', async () => {
    host.libvirtd.define({ name: 'vm', devices: host.libvirtd.disk('vm') });
    const { id } = (await host.changes.next('defined')).domain;
    await host.driver.attach(id);
    await host.driver.start(id);
    expect(await host.driver.snapshots(id)).toEqual([]);
    await host.driver.snapshot(id, 'clean state');
    await host.driver.pause(id);
    await host.driver.snapshot(id, 'second');
    expect(await host.driver.snapshots(id)).toMatchObject([
      { name: 'clean state', state: 'running', current: false },
      { name: 'second', state: 'paused', current: true },
    ]);
    const { generation } = await host.named('vm');
    await host.driver.revert(id, 'clean state');
    const reverted = await host.changes.next('reverted', 'vm');
    expect(reverted.domain.generation).toBeGreaterThan(generation);
    expect(await host.named('vm')).toMatchObject({ state: 'running', socket: expect.any(String) });
    await host.driver.destroy(id);
    await host.driver.revert(id, 'second');
    await host.changes.next('reverted', 'vm');
    expect(await host.named('vm')).toMatchObject({ state: 'paused' });
  });

  it('and say which snapshots cannot be', async () => {
    host.libvirtd.define({ name: 'vm', devices: host.libvirtd.disk('vm') });
    const { id } = (await host.changes.next('defined')).domain;
    await host.driver.snapshot(id, 'one');
    await expect(host.driver.snapshot(id, 'one')).rejects.toMatchObject({ code: 'snapshot-exists' });
    await expect(host.driver.revert(id, 'two')).rejects.toMatchObject({ code: 'no-such-snapshot' });
    for (const name of ['', '../x', '-x', 'a\nb', '<a/>', 'x'.repeat(129)]) {
      await expect(host.driver.snapshot(id, name)).rejects.toMatchObject({ code: 'invalid-request' });
    }
  });
});
