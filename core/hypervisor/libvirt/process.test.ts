/** Against libvirt's own test driver, whose guests live in the process that opened it: no daemon is needed. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { need } from '../../../test/need.ts';
import { CHANNEL_XML, PORT_NAME } from './domain-xml.ts';
import type { DomainFacts, EventMessage, PowerVerb } from './messages.ts';
import { LibvirtProcess } from './process.ts';

const MS = 10_000;
const LIBRARY = '/usr/lib/x86_64-linux-gnu/libvirt.so.0';
const hasLibvirt = need({ file: LIBRARY, get: 'apt-get install libvirt0' });

const uuid = (digit: number): string => `${String(digit).repeat(8)}-1111-4111-8111-111111111111`;
const domain = (digit: number, name: string, inside = ''): string =>
  `<domain type='test'><name>${name}</name><uuid>${uuid(digit)}</uuid><memory>8192</memory>` +
  `<os><type>hvm</type></os>${inside}</domain>`;
const socket = (path: string): string =>
  `<devices>${CHANNEL_XML.replace(`mode='bind'`, `mode='bind' path='${path}'`)}</devices>`;

describe.runIf(hasLibvirt)("the process of libvirt's test driver", () => {
  let directory: string;
  let libvirt: LibvirtProcess;
  let events: EventMessage[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'process-'));
    events = [];
    libvirt = new LibvirtProcess((event) => events.push(event));
  });
  afterEach(async () => {
    await libvirt.close();
    rmSync(directory, { recursive: true });
  });

  async function open(...domains: string[]): Promise<DomainFacts[]> {
    const file = join(directory, 'node.xml');
    writeFileSync(file, `<node>${domains.join('')}</node>`);
    await libvirt.ask('open', { uri: `test://${file}`, events: true }, MS);
    return libvirt.ask('list', { active: false }, MS);
  }

  const power = (verb: PowerVerb, of = 1) => libvirt.ask('power', { verb, uuid: uuid(of) }, MS);

  it('tells of all domains, whatever is written in them', async () => {
    const all = await open(
      domain(1, 'plain'),
      domain(2, 'R&amp;D ünï', `<title>&lt;b&gt;</title>${socket('/run/a b/&amp;/ö')}`),
      domain(3, 'tagged', `<metadata><t:x xmlns:t='urn:t' a='1'>y</t:x></metadata>`),
      domain(
        4,
        'taken',
        `<devices><channel type='pty'><target type='virtio' name='${PORT_NAME}'/></channel></devices>`,
      ),
    );
    expect(all.sort((one, other) => (one.uuid < other.uuid ? -1 : 1))).toMatchObject([
      { name: 'plain', state: 'running', runId: expect.any(Number), persistent: true, port: 'absent' },
      { name: 'R&D ünï', title: '<b>', socket: '/run/a b/&/ö', port: 'unknown' },
      { metadata: [{ namespace: 'urn:t', name: 'x', attributes: { a: '1' }, text: 'y' }] },
      { port: 'absent', fault: { code: 'port-in-use' } },
    ]);
  });

  it('tells which one it cannot read, and of the others all the same', async () => {
    const huge = `<description>${'a'.repeat(1024 * 1024)}</description>`;
    const all = await open(domain(1, 'huge', huge), domain(2, 'small'));
    expect(all.find(({ name }) => name === 'huge')).toMatchObject({
      state: 'running',
      port: 'unknown',
      fault: { code: 'unreadable-xml' },
    });
    expect(all.find(({ name }) => name === 'small')).not.toHaveProperty('fault');
  });

  it('tells of each change, with the domain as it is then', async () => {
    await open(domain(1, 'vm'));
    for (const verb of ['pause', 'resume', 'destroy', 'start', 'destroy', 'undefine'] as const)
      await power(verb);
    await expect.poll(() => events.length).toBe(6);
    // Not by name, but by libvirt's own numbers: suspended, resumed, stopped, started, stopped, undefined.
    expect(events.map((event) => event.event === 'lifecycle' && event.type)).toEqual([3, 4, 5, 2, 5, 1]);
    expect(events[0]).toMatchObject({ uuid: uuid(1), facts: { name: 'vm' } });
    expect(events.at(-1)).not.toHaveProperty('facts');
    expect(await libvirt.ask('list', { active: false }, MS)).toEqual([]);
  });

  it('keeps snapshots, whatever they are called', async () => {
    await open(domain(1, 'vm'));
    const ask = (name: string) => ({ uuid: uuid(1), name });
    for (const name of ['first', 'a&b <c>']) await libvirt.ask('snapshot', ask(name), MS);
    await power('destroy');
    await libvirt.ask('revert', ask('first'), MS);
    const snapshots = await libvirt.ask('snapshots', { uuid: uuid(1) }, MS);
    expect(snapshots.map(({ name, current }) => [name, current]).sort()).toEqual([
      ['a&b <c>', false],
      ['first', true],
    ]);
    expect(await libvirt.ask('look', { uuid: uuid(1) }, MS)).toMatchObject({ state: 'running' });
    await expect(libvirt.ask('snapshot', ask('first'), MS)).rejects.toMatchObject({
      code: 'snapshot-exists',
    });
    await expect(libvirt.ask('revert', ask('x'), MS)).rejects.toMatchObject({ code: 'no-such-snapshot' });
  });

  it('says what cannot be, and goes on', async () => {
    await open(domain(1, 'vm'));
    await expect(power('start', 2)).rejects.toMatchObject({ code: 'no-such-domain' });
    await expect(power('undefine')).rejects.toMatchObject({ code: 'still-running' });
    await expect(libvirt.ask('attach', { uuid: uuid(1) }, MS)).rejects.toMatchObject({ code: 'refused' });
    expect(await libvirt.ask('look', { uuid: uuid(2) }, MS)).toBeNull();
    await power('destroy');
    await expect(power('pause')).rejects.toMatchObject({ code: 'not-running' });
  });

  it.each([
    ['no hypervisor', 'nothing:///'],
    ['no file', 'test:///does/not/exist.xml'],
    ['no daemon', 'qemu+unix:///system?socket=/does/not/exist'],
  ])('says that there is %s', async (_what, uri) => {
    await expect(libvirt.ask('open', { uri, events: true }, MS)).rejects.toMatchObject({
      code: expect.stringMatching(/^(connection-failed|refused)$/),
    });
    await expect(libvirt.ask('list', { active: true }, MS)).rejects.toMatchObject({
      code: 'invalid-request',
    });
  });

  it('is killed when it does not answer', async () => {
    await open(domain(1, 'vm'));
    libvirt.signal('SIGSTOP');
    const [first, second] = await Promise.allSettled([
      libvirt.ask('list', { active: true }, 50),
      libvirt.ask('list', { active: true }, MS),
    ]);
    expect(first).toMatchObject({ reason: { code: 'hypervisor-timeout' } });
    expect(second).toMatchObject({ reason: { code: 'hypervisor-timeout' } });
    expect(await libvirt.ended).toMatchObject({ code: 'hypervisor-timeout' });
    await expect(libvirt.ask('list', { active: true }, MS)).rejects.toMatchObject({
      code: 'hypervisor-timeout',
    });
    await libvirt.close();
  });

  it('says how it ended when it did', async () => {
    await open(domain(1, 'vm'));
    libvirt.signal('SIGSEGV');
    expect(await libvirt.ended).toMatchObject({
      code: 'connection-failed',
      message: expect.stringContaining('SIGSEGV'),
    });
  });

  it('holds a thousand domains', async () => {
    const all = Array.from({ length: 1000 }, (_, index) =>
      domain(1, `vm-${index}`).replace('1111', String(1000 + index)),
    );
    expect(await open(...all)).toHaveLength(1000);
    expect(await libvirt.ask('list', { active: true }, MS)).toHaveLength(1000);
  });
});
