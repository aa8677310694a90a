/**
 * The parts of a domain's XML that matter here: its words, and its channel.
 *
 *   <domain type='kvm'>
 *     <name>web</name> <uuid>…</uuid> <title>…</title> <description>…</description>
 *     <metadata> <owner:tag xmlns:owner='https://…'>…</owner:tag> </metadata>
 *     <devices>
 *       <controller type='virtio-serial' …/>
 *       <channel type='unix'>
 *         <source mode='bind' path='/…/org.lazaret.agent.0'/>                    path: while it runs
 *         <target type='virtio' name='org.lazaret.agent.0' state='connected'/>   state: while it runs
 *         <alias name='channel0'/>
 *       </channel>
 *
 * libvirt's own elements have no namespace; those below <metadata> have one each.
 * Source: https://libvirt.org/formatdomain.html
 */
import {
  DOMParser,
  type Document,
  type Element,
  type Node,
  onErrorStopParsing,
  XMLSerializer,
} from '@xmldom/xmldom';
import type { DomainMetadata, DomainState } from '../port.ts';
import { Failure, type Fault } from './messages.ts';

export const PORT_NAME = 'org.lazaret.agent.0';

/** Leaves the path to libvirt, which has a place that QEMU may write to. */
export const CHANNEL_XML = `<channel type='unix'><source mode='bind'/><target type='virtio' name='${PORT_NAME}'/></channel>`;
export const CONTROLLER_XML = `<controller type='virtio-serial'/>`;

/** libvirt's own bound on a string is 4 MiB; the largest domains have some 100 KiB. */
const LARGEST = 1024 * 1024;
const ELEMENT = 1;
const TEXT = 3;
const CDATA = 4;
const DEEPEST_METADATA = 64;

export interface ChannelXml {
  readonly socket?: string;
  readonly state?: string;
  /** The element as it stands, for libvirt to find it by. */
  readonly xml: string;
  /** Why we cannot use it. */
  readonly fault?: Fault;
}

export interface DomainXml {
  readonly title?: string;
  readonly description?: string;
  readonly metadata: readonly DomainMetadata[];
  readonly channel?: ChannelXml;
  readonly hasController: boolean;
  readonly hasFirmwareVariables: boolean;
}

/** Throws a Failure `unreadable-xml`. */
export function readDomainXml(xml: string): DomainXml {
  const root = parse(xml, 'domain');
  const devices = child(root, 'devices');
  const title = textOf(child(root, 'title'));
  const description = textOf(child(root, 'description'));
  const channel = devices && channelOf(devices);
  const os = child(root, 'os');
  return {
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    metadata: metadataOf(child(root, 'metadata')),
    ...(channel && { channel }),
    hasController: children(devices, 'controller').some(
      (one) => one.getAttribute('type') === 'virtio-serial',
    ),
    hasFirmwareVariables: child(os, 'nvram') !== undefined || os?.getAttribute('firmware') === 'efi',
  };
}

const SNAPSHOT_STATES: Readonly<Record<string, DomainState>> = {
  running: 'running',
  blocked: 'running',
  paused: 'paused',
  shutdown: 'off',
  shutoff: 'off',
  crashed: 'crashed',
  pmsuspended: 'suspended',
};

/** `createdAt` in milliseconds since 1970. Throws a Failure `unreadable-xml`. */
export function readSnapshotXml(xml: string): { name: string; createdAt: number; state: DomainState } {
  const root = parse(xml, 'domainsnapshot');
  const name = textOf(child(root, 'name'));
  const seconds = Number(textOf(child(root, 'creationTime')));
  if (name === undefined || !Number.isSafeInteger(seconds)) {
    throw new Failure('unreadable-xml', 'libvirt describes a snapshot without a name or a time');
  }
  const state = SNAPSHOT_STATES[textOf(child(root, 'state')) ?? ''] ?? 'unknown';
  return { name, createdAt: seconds * 1000, state };
}

/** `name` as it may stand in XML; it must not have control characters. */
export function snapshotRequestXml(name: string): string {
  const document = new DOMParser().parseFromString(
    '<domainsnapshot><name/></domainsnapshot>',
    'application/xml',
  );
  const [element] = document.getElementsByTagName('name');
  element?.appendChild(document.createTextNode(name));
  return new XMLSerializer().serializeToString(document);
}

function parse(xml: string, root: string): Element {
  if (xml.length > LARGEST) {
    throw new Failure('unreadable-xml', `libvirt's description of it has more than ${LARGEST} characters`);
  }
  const { doctype, documentElement: element } = parseDocument(xml);
  if (doctype || element?.localName !== root || element.namespaceURI) {
    throw new Failure('unreadable-xml', `libvirt's description of it is no <${root}>`);
  }
  return element;
}

function parseDocument(xml: string): Document {
  try {
    return new DOMParser({ onError: onErrorStopParsing }).parseFromString(xml, 'application/xml');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Failure('unreadable-xml', `libvirt's description of it is not XML: ${reason}`, { cause });
  }
}

function channelOf(devices: Element): ChannelXml | undefined {
  const element = children(devices, 'channel').find((one) => {
    const target = child(one, 'target');
    return target?.getAttribute('type') === 'virtio' && target.getAttribute('name') === PORT_NAME;
  });
  if (element === undefined) return undefined;
  const source = child(element, 'source');
  const socket = source?.getAttribute('path');
  const state = child(element, 'target')?.getAttribute('state');
  const fault = unusable(element.getAttribute('type'), source?.getAttribute('mode'));
  return {
    ...(socket && { socket }),
    ...(state && { state }),
    xml: new XMLSerializer().serializeToString(element),
    ...(fault && { fault }),
  };
}

function unusable(type: string | null, mode: string | null | undefined): Fault | undefined {
  if (type === 'unix' && mode !== 'connect') return undefined;
  const bound = type === 'unix' ? 'a unix socket that QEMU connects to' : `type '${type}'`;
  const message = `it has a port ${PORT_NAME} that is bound to ${bound}: make it <channel type='unix'> with <source mode='bind'/>, or remove it`;
  return { code: 'port-in-use', message };
}

function metadataOf(metadata: Element | undefined): DomainMetadata[] {
  return elements(metadata).map((one) => ({
    namespace: one.namespaceURI ?? '',
    name: one.localName ?? one.nodeName,
    attributes: Object.fromEntries(
      [...one.attributes]
        .filter(({ prefix, name }) => prefix !== 'xmlns' && name !== 'xmlns')
        .map(nameAndValue),
    ),
    text: deepText(one, 0).trim(),
  }));
}

const nameAndValue = ({
  localName,
  name,
  value,
}: {
  localName: string | null;
  name: string;
  value: string;
}) => [localName ?? name, value] as const;

/** Bounded in depth, as it descends. */
function deepText(node: Node, depth: number): string {
  if (depth > DEEPEST_METADATA) return '';
  if (node.nodeType === TEXT || node.nodeType === CDATA) return node.nodeValue ?? '';
  if (node.nodeType !== ELEMENT) return '';
  return [...node.childNodes].map((one) => deepText(one, depth + 1)).join('');
}

function elements(parent: Element | undefined): Element[] {
  if (parent === undefined) return [];
  return [...parent.childNodes].filter((one): one is Element => one.nodeType === ELEMENT);
}

/** libvirt's own: those without a namespace. */
function children(parent: Element | undefined, name: string): Element[] {
  return elements(parent).filter((one) => !one.namespaceURI && one.localName === name);
}

const child = (parent: Element | undefined, name: string): Element | undefined => children(parent, name)[0];

function textOf(element: Element | undefined): string | undefined {
  const text = element?.textContent?.trim();
  return text === '' ? undefined : text;
}
