/** Gives a domain the channel, or takes it away. Runs in the child process. */
import type { PortChange } from '../port.ts';
import { CHANNEL_XML, CONTROLLER_XML, type DomainXml, readDomainXml } from './domain-xml.ts';
import { Failure } from './messages.ts';
import * as native from './native.ts';

const AFFECT_LIVE = 1;
const AFFECT_CONFIG = 2;
const XML_LIVE = 0;
const XML_INACTIVE = 2;

/** The running guest as it is, and what it will be after its next start; undefined where there is no such thing. */
interface Descriptions {
  readonly live: DomainXml | undefined;
  readonly config: DomainXml | undefined;
}

export function attach(domain: native.Pointer): PortChange {
  const { live, config } = describe(domain);
  const fault = live?.channel?.fault ?? config?.channel?.fault;
  if (fault) throw new Failure(fault.code, fault.message);
  const isLive = live !== undefined && live.channel === undefined && attachLive(domain, live);
  const persistent = config !== undefined && config.channel === undefined;
  // libvirt adds the controller here by itself.
  if (persistent) native.attachDevice(domain, CHANNEL_XML, AFFECT_CONFIG);
  return { live: isLive, persistent, needsRestart: live !== undefined && !live.channel && !isLive };
}

export function detach(domain: native.Pointer): PortChange {
  const { live, config } = describe(domain);
  const detached = { live: false, persistent: false };
  if (config?.channel && !config.channel.fault) {
    native.detachDevice(domain, config.channel.xml, AFFECT_CONFIG);
    detached.persistent = true;
  }
  if (live?.channel && !live.channel.fault) {
    native.detachDevice(domain, live.channel.xml, AFFECT_LIVE);
    detached.live = true;
  }
  return { ...detached, needsRestart: false };
}

/**
 * False where the running guest has no virtio-serial controller and cannot be given one: what the hypervisor can
 * plug into a running guest is its own matter, so it is asked.
 */
function attachLive(domain: native.Pointer, live: DomainXml): boolean {
  if (!live.hasController && !tryController(domain)) return false;
  native.attachDevice(domain, CHANNEL_XML, AFFECT_LIVE);
  return true;
}

function tryController(domain: native.Pointer): boolean {
  try {
    native.attachDevice(domain, CONTROLLER_XML, AFFECT_LIVE);
    return true;
  } catch (error) {
    if (error instanceof Failure && error.code === 'refused') return false;
    throw error;
  }
}

function describe(domain: native.Pointer): Descriptions {
  const live = native.isActive(domain) === 1;
  const persistent = native.isPersistent(domain) === 1;
  return {
    live: live ? readDomainXml(native.domainXml(domain, XML_LIVE)) : undefined,
    config: persistent ? readDomainXml(native.domainXml(domain, XML_INACTIVE)) : undefined,
  };
}
