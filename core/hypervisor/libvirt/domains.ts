/**
 * What is known of all domains, and what changed. libvirt's events say that something happened to a domain, and
 * come with how it is by then; lists say how all are. Whichever is first tells of a change, the other adds nothing:
 * a start is known by its run id, which libvirt counts up.
 * Source: https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainEventType
 */
import { HypervisorError } from '../error.ts';
import type { DomainChangeKind, HostDomain } from '../port.ts';
import type { DomainFacts, EventMessage } from './messages.ts';

/** `virDomainEventType`, where what it says cannot be seen in the facts. */
const [STARTED, SUSPENDED, RESUMED, STOPPED] = [2, 3, 4, 5];
/** Their detail for a return to a snapshot. */
const FROM_SNAPSHOT = new Map([
  [STARTED, 3],
  [SUSPENDED, 5],
  [RESUMED, 2],
  [STOPPED, 6],
]);

export interface Change {
  readonly kind: DomainChangeKind;
  readonly domain: HostDomain;
}

interface Known {
  readonly facts: DomainFacts;
  readonly generation: number;
  readonly revert?: Revert;
}

/** One return to a snapshot tells of itself up to three times, each time with another type of event. */
interface Revert {
  readonly runId: number | undefined;
  readonly types: readonly number[];
  /** Milliseconds of a clock that only goes forward. */
  readonly at: number;
}
const ONE_REVERT_MS = 5000;

export class Domains {
  private readonly known = new Map<string, Known>();
  private listed = false;

  /** By name. */
  all(): HostDomain[] {
    return [...this.known.values()]
      .map(toDomain)
      .sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)));
  }

  get(uuid: string): HostDomain | undefined {
    const known = this.known.get(uuid);
    return known && toDomain(known);
  }

  /** All that there are, at the beginning or after a time in which nothing was told. */
  replaceAll(all: readonly DomainFacts[]): Change[] {
    if (!this.listed) {
      this.listed = true;
      return all.flatMap((facts) => this.record(['defined'], facts, 1));
    }
    const there = new Set(all.map(({ uuid }) => uuid));
    const gone = [...this.known.keys()].filter((uuid) => !there.has(uuid));
    return [
      ...gone.flatMap((uuid) => this.remove(uuid)),
      ...all.flatMap((facts) => this.see(facts, { afterGap: true })),
    ];
  }

  /** Whether all that are known to run are among them. */
  hasAllRunning(active: readonly DomainFacts[]): boolean {
    const running = new Set(active.map(({ uuid }) => uuid));
    return [...this.known.values()].every(
      ({ facts }) => facts.runId === undefined || running.has(facts.uuid),
    );
  }

  see(facts: DomainFacts, { afterGap = false } = {}): Change[] {
    const before = this.known.get(facts.uuid);
    if (before === undefined) {
      return this.record(facts.runId === undefined ? ['defined'] : ['defined', 'started'], facts, 1);
    }
    const kinds = difference(before.facts, facts, afterGap);
    return this.record(kinds, facts, before.generation + Number(kinds.includes('started')));
  }

  take(event: EventMessage): Change[] {
    const { facts, uuid } = event;
    if (facts === undefined) return this.remove(uuid);
    const before = this.known.get(uuid);
    const changes = this.see(facts);
    if (isRevert(event)) return this.revert(event.type, facts, { before, changes });
    const hidden = hiddenKind(event, facts);
    if (hidden === undefined) return changes;
    return [...changes, ...this.record([hidden], facts, this.generationOf(uuid) + 1)];
  }

  private revert(
    type: number,
    facts: DomainFacts,
    { before, changes }: { before: Known | undefined; changes: Change[] },
  ): Change[] {
    const same = before?.revert && isSameRevert(before.revert, type, facts) ? before.revert : undefined;
    const types = [...(same?.types ?? []), type];
    const revert = { runId: facts.runId, types, at: performance.now() };
    const generation = this.generationOf(facts.uuid) + Number(same === undefined);
    const told = this.record(same ? [] : ['reverted'], facts, generation, revert);
    return same ? changes : [...changes.filter(({ kind }) => kind === 'defined'), ...told];
  }

  private generationOf(uuid: string): number {
    return this.known.get(uuid)?.generation ?? 0;
  }

  remove(uuid: string): Change[] {
    const known = this.known.get(uuid);
    if (known === undefined) return [];
    this.known.delete(uuid);
    const { socket: _, runId: __, ...rest } = known.facts;
    const kinds: DomainChangeKind[] =
      known.facts.runId === undefined ? ['undefined'] : ['stopped', 'undefined'];
    const domain = toDomain({ ...known, facts: { ...rest, state: 'off' } });
    return kinds.map((kind) => ({ kind, domain }));
  }

  private record(
    kinds: readonly DomainChangeKind[],
    facts: DomainFacts,
    generation: number,
    revert = this.known.get(facts.uuid)?.revert,
  ): Change[] {
    const known = { facts, generation, ...(revert && { revert }) };
    this.known.set(facts.uuid, known);
    const domain = toDomain(known);
    return kinds.map((kind) => ({ kind, domain }));
  }
}

/** What can be seen by comparing. */
function difference(before: DomainFacts, now: DomainFacts, afterGap: boolean): DomainChangeKind[] {
  const kinds: DomainChangeKind[] = [];
  const run = runChange(before, now, afterGap);
  if (run === 'stopped') kinds.push(now.crashed ? 'crashed' : 'stopped');
  else if (run === 'started') kinds.push('started');
  else if (before.state !== now.state) kinds.push(...stateChange(now));
  if (words(before) !== words(now)) kinds.push('redefined');
  const portChanged = before.socket !== now.socket || before.port !== now.port || isOtherSocket(before, now);
  if (run === undefined && portChanged) kinds.push('port');
  return kinds;
}

const isOtherSocket = (before: DomainFacts, now: DomainFacts): boolean =>
  before.socketMade !== undefined && now.socketMade !== undefined && before.socketMade !== now.socketMade;

function runChange(
  before: DomainFacts,
  now: DomainFacts,
  afterGap: boolean,
): 'started' | 'stopped' | undefined {
  if (now.runId === undefined) return before.runId === undefined ? undefined : 'stopped';
  if (now.runId !== before.runId) return 'started';
  // A libvirtd that was restarted counts anew; a guest that was started anew has another socket.
  return afterGap && isOtherSocket(before, now) ? 'started' : undefined;
}

function stateChange({ state }: DomainFacts): DomainChangeKind[] {
  if (state === 'paused' || state === 'suspended') return ['paused'];
  if (state === 'crashed') return ['crashed'];
  return state === 'running' ? ['resumed'] : [];
}

const words = ({ name, title, description, metadata, persistent, fault }: DomainFacts): string =>
  JSON.stringify([name, title, description, metadata, persistent, fault]);

function isRevert(event: EventMessage): event is EventMessage & { event: 'lifecycle' } {
  return event.event === 'lifecycle' && FROM_SNAPSHOT.get(event.type) === event.detail;
}

const isSameRevert = ({ runId, types, at }: Revert, type: number, now: DomainFacts): boolean =>
  runId === now.runId && !types.includes(type) && performance.now() - at < ONE_REVERT_MS;

/** What happened that the facts do not show: a start that is over already, a reboot. */
function hiddenKind(event: EventMessage, now: DomainFacts): DomainChangeKind | undefined {
  if (event.event === 'rebooted') return 'rebooted';
  if (event.event !== 'lifecycle') return undefined;
  return event.type === STARTED && now.runId === undefined ? 'started' : undefined;
}

function toDomain({ facts, generation }: Known): HostDomain {
  const { uuid, name, state, persistent, title, description, metadata, socket, port, fault } = facts;
  return {
    id: uuid,
    uuid,
    name,
    state,
    port,
    persistent,
    generation,
    metadata,
    ...(socket !== undefined && { socket }),
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    ...(fault && { fault: new HypervisorError(fault.code, fault.message) }),
  };
}
