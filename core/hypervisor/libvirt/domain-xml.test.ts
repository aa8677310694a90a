import { describe, expect, it } from 'vitest';
import { CHANNEL_XML, PORT_NAME, readDomainXml, readSnapshotXml, snapshotRequestXml } from './domain-xml.ts';

const domain = (inside: string, attributes = ''): string =>
  `<domain type='kvm'${attributes}><name>web</name>${inside}</domain>`;
const channel = (source: string, { type = 'unix', target = '' } = {}): string =>
  domain(
    `<devices><channel type='unix'><source mode='bind' path='/other'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>` +
      `<channel type='${type}'>${source}<target type='virtio' name='${PORT_NAME}'${target}/></channel></devices>`,
  );

describe("a domain's XML", () => {
  it('tells where the channel is, and whether the guest has it open', () => {
    const xml = channel(`<source mode='bind' path='/run/a.sock'/>`, { target: ` state='connected'` });
    const { channel: found } = readDomainXml(xml);
    expect(found).toMatchObject({ socket: '/run/a.sock', state: 'connected' });
    expect(found).not.toHaveProperty('fault');
    expect(found?.xml).toContain(PORT_NAME);
  });

  it.each([
    ['spaces', '/run/domain-2-web one/a b.sock', '/run/domain-2-web one/a b.sock'],
    ['entities', '/run/R&amp;D/&lt;a&gt;&apos;&quot;', `/run/R&D/<a>'"`],
    ['characters by number', '/run/&#x41;&#228;', '/run/Aä'],
    ['any script', '/run/виртуалка/機', '/run/виртуалка/機'],
  ])('may have a path with %s', (_what, written, path) => {
    expect(readDomainXml(channel(`<source mode='bind' path="${written}"/>`)).channel?.socket).toBe(path);
  });

  it('has no channel, or one without a place, as long as that is so', () => {
    expect(readDomainXml(domain('<devices/>')).channel).toBeUndefined();
    expect(readDomainXml(domain('')).channel).toBeUndefined();
    expect(readDomainXml(domain(`<devices>${CHANNEL_XML}</devices>`)).channel).toEqual({
      xml: expect.stringContaining(PORT_NAME),
    });
  });

  it.each([
    ['tcp', `<source mode='bind' host='127.0.0.1' service='1'/>`],
    ['pty', ''],
    ['spicevmc', ''],
    ['unix', `<source mode='connect' path='/run/theirs.sock'/>`],
  ])('may have a port of our name that is another’s: %s', (type, source) => {
    const { channel: found } = readDomainXml(channel(source, { type }));
    expect(found?.fault).toMatchObject({ code: 'port-in-use' });
    expect(found?.fault?.message).toContain(PORT_NAME);
  });

  it('keeps to the elements that are libvirt’s: a namespace makes another of the same name', () => {
    const foreign = `<x:channel type='unix'><source path='/evil'/><target type='virtio' name='${PORT_NAME}'/></x:channel>`;
    const xml = domain(
      `<metadata><devices xmlns='urn:a'>${CHANNEL_XML}</devices></metadata><devices>${foreign}</devices>`,
      ` xmlns:x='urn:x'`,
    );
    expect(readDomainXml(xml).channel).toBeUndefined();
    const aliased = `<ns0:domain xmlns:ns0='urn:other'/>`;
    expect(() => readDomainXml(aliased)).toThrow(expect.objectContaining({ code: 'unreadable-xml' }));
  });

  it('reads what libvirt’s own schema calls QEMU’s namespace', () => {
    const xml = domain(
      `<devices>${CHANNEL_XML}</devices><qemu:commandline><qemu:arg value='-foo'/></qemu:commandline>`,
      ` xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'`,
    );
    expect(readDomainXml(xml).channel).toBeDefined();
  });

  it('has words and metadata for people and for selection', () => {
    const xml = domain(
      '<title>Web &amp; more</title><description> two\nlines </description>' +
        `<metadata><t:tenant xmlns:t='urn:t' plan='gold' t:since='2024'>ac<b>me</b><!-- not this --><![CDATA[<eu><!DOCTYPE>]]> </t:tenant>` +
        `<plain xmlns='urn:p'/></metadata>`,
    );
    expect(readDomainXml(xml)).toMatchObject({
      title: 'Web & more',
      description: 'two\nlines',
      metadata: [
        {
          namespace: 'urn:t',
          name: 'tenant',
          attributes: { plan: 'gold', since: '2024' },
          text: 'acme<eu><!DOCTYPE>',
        },
        { namespace: 'urn:p', name: 'plain', attributes: {}, text: '' },
      ],
    });
    expect(readDomainXml(domain(''))).toEqual({
      metadata: [],
      hasController: false,
      hasFirmwareVariables: false,
    });
  });

  it('tells what else matters: a controller, firmware variables', () => {
    const xml = domain(
      `<os><nvram>/x</nvram></os><devices><controller type='usb'/><controller type='virtio-serial' index='0'/></devices>`,
    );
    expect(readDomainXml(xml)).toMatchObject({ hasController: true, hasFirmwareVariables: true });
    expect(readDomainXml(domain(`<os firmware='efi'/>`)).hasFirmwareVariables).toBe(true);
  });

  it.each([
    ['nothing', ''],
    ['no XML', 'not XML'],
    ['a cut', channel('<source').slice(0, 90)],
    ['an unbound prefix', domain('<a:b/>')],
    ['an entity that is not defined', domain('<title>&evil;</title>')],
    ['a document type', `<!DOCTYPE domain [<!ENTITY a "b">]>${domain('<title>&a;</title>')}`],
    ['another document', '<network><name>x</name></network>'],
    ['too much', domain(`<title>${'a'.repeat(1024 * 1024)}</title>`)],
  ])('is unreadable when it is %s', (_what, xml) => {
    expect(() => readDomainXml(xml)).toThrow(expect.objectContaining({ code: 'unreadable-xml' }));
  });

  it('costs no stack when it is deep', () => {
    const deep = `${'<a>'.repeat(20_000)}x${'</a>'.repeat(20_000)}`;
    expect(readDomainXml(domain(`<metadata><m xmlns='urn:m'>${deep}</m></metadata>`)).metadata).toHaveLength(
      1,
    );
  });
});

describe("a snapshot's XML", () => {
  it('tells its name, time and state', () => {
    const xml = `<domainsnapshot><name>a &amp; b</name><state>shutoff</state><creationTime>1700000000</creationTime></domainsnapshot>`;
    expect(readSnapshotXml(xml)).toEqual({ name: 'a & b', createdAt: 1_700_000_000_000, state: 'off' });
  });

  it('asks for any name in the same way', () => {
    expect(snapshotRequestXml('a&<b>"')).toBe(
      '<domainsnapshot><name>a&amp;&lt;b&gt;"</name></domainsnapshot>',
    );
  });

  it.each([
    '<domainsnapshot/>',
    '<domainsnapshot><name>a</name><creationTime>x</creationTime></domainsnapshot>',
  ])('is unreadable: %s', (xml) => {
    expect(() => readSnapshotXml(xml)).toThrow(expect.objectContaining({ code: 'unreadable-xml' }));
  });
});
