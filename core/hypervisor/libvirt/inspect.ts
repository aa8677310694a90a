/** What libvirt tells of its domains, as facts that can be sent on. Runs in the child process. */
import { statSync } from 'node:fs';
import type { DomainState, PortState } from '../port.ts';
import { type ChannelXml, type DomainXml, readDomainXml } from './domain-xml.ts';
import { type DomainFacts, Failure, type Fault } from './messages.ts';
import * as native from './native.ts';

const LIST_ACTIVE = 1;
const XML_LIVE = 0;

/** By `virDomainState`: no state, running, blocked on a resource, paused, going down, off, crashed, asleep. */
const STATES: readonly DomainState[] = [
  'unknown',
  'running',
  'running',
  'paused',
  'running',
  'off',
  'crashed',
  'suspended',
];

/** `virDomainShutoffReason`: the guest crashed; QEMU failed, or was killed. */
const CRASHED = [3, 6];

/** Parsed again only when the text is another one: what is asked for every second seldom changes. */
export class Inspector {
  private readonly connection: native.Pointer;
  private parsed = new Map<string, { readonly xml: string; readonly result: DomainXml | Failure }>();

  constructor(connection: native.Pointer) {
    this.connection = connection;
  }

  /** Domains that go while they are looked at are left out. */
  list(active: boolean): DomainFacts[] {
    const all = native.domains(this.connection, active ? LIST_ACTIVE : 0);
    try {
      const facts = all.map((domain) => this.existing(domain)).filter((one) => one !== undefined);
      if (!active) this.forgetOthers(facts);
      return facts;
    } finally {
      for (const domain of all) native.freeDomain(domain);
    }
  }

  /** Undefined where there is no such domain (any more). */
  byUuid(uuid: string): DomainFacts | undefined {
    try {
      return withDomain(this.connection, uuid, (domain) => this.facts(domain));
    } catch (error) {
      if (error instanceof Failure && error.code === 'no-such-domain') return undefined;
      throw error;
    }
  }

  private existing(domain: native.Pointer): DomainFacts | undefined {
    try {
      return this.facts(domain);
    } catch (error) {
      if (error instanceof Failure && error.code === 'no-such-domain') return undefined;
      throw error;
    }
  }

  private facts(domain: native.Pointer): DomainFacts {
    const uuid = native.domainUuid(domain);
    const read = this.read(uuid, native.domainXml(domain, XML_LIVE));
    const now = native.domainState(domain);
    const state = STATES[now.state] ?? 'unknown';
    // One that is being taken down still has a run id.
    const runId = state === 'off' ? undefined : native.domainId(domain);
    return {
      uuid,
      name: native.domainName(domain) ?? uuid,
      ...(runId !== undefined && { runId }),
      state,
      ...(state === 'off' && CRASHED.includes(now.reason) && { crashed: true }),
      persistent: native.isPersistent(domain) === 1,
      ...(read instanceof Failure ? unread(read) : readable(read, runId !== undefined)),
    };
  }

  private read(uuid: string, xml: string): DomainXml | Failure {
    const before = this.parsed.get(uuid);
    if (before?.xml === xml) return before.result;
    const result = attempt(() => readDomainXml(xml));
    this.parsed.set(uuid, { xml, result });
    return result;
  }

  private forgetOthers(facts: readonly DomainFacts[]): void {
    const there = new Set(facts.map(({ uuid }) => uuid));
    for (const uuid of this.parsed.keys()) if (!there.has(uuid)) this.parsed.delete(uuid);
  }
}

export function withDomain<Result>(
  connection: native.Pointer,
  uuid: string,
  use: (domain: native.Pointer) => Result,
): Result {
  const domain = native.domainByUuid(connection, uuid);
  try {
    return use(domain);
  } finally {
    native.freeDomain(domain);
  }
}

const readable = ({ title, description, metadata, channel }: DomainXml, active: boolean) => ({
  ...(title !== undefined && { title }),
  ...(description !== undefined && { description }),
  metadata,
  ...channelFacts(channel, active),
});

const unread = ({ code, message }: Failure): { metadata: []; port: PortState; fault: Fault } => ({
  metadata: [],
  port: 'unknown',
  fault: { code, message },
});

function channelFacts(
  channel: ChannelXml | undefined,
  active: boolean,
): Pick<DomainFacts, 'socket' | 'socketMade' | 'port' | 'fault'> {
  if (channel === undefined) return { port: 'absent' };
  if (channel.fault) return { port: 'absent', fault: channel.fault };
  if (!active || channel.socket === undefined) return { port: 'disconnected' };
  const { socket, state } = channel;
  const made = socketMade(socket);
  return {
    socket,
    ...(made !== undefined && { socketMade: made }),
    port: state === 'connected' || state === 'disconnected' ? state : 'unknown',
  };
}

function socketMade(path: string): string | undefined {
  try {
    const { ino, birthtimeMs } = statSync(path);
    return `${ino}@${birthtimeMs}`;
  } catch {
    // Gone again, not ours to see, or on another host: whoever connects will be told.
    return undefined;
  }
}

function attempt<Result>(act: () => Result): Result | Failure {
  try {
    return act();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}
