/**
 * What the driver and its child process say to each other: one JSON value a line, requests on the child's stdin,
 * answers and events on its stdout. The child ends when its stdin does.
 */
import { writeSync } from 'node:fs';
import type { HypervisorErrorCode } from '../error.ts';
import type { DomainMetadata, DomainState, PortChange, PortState, Snapshot } from '../port.ts';

/** An error on its way through a message; the driver makes a HypervisorError of it. */
export class Failure extends Error {
  readonly code: HypervisorErrorCode;

  constructor(code: HypervisorErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Failure';
    this.code = code;
  }
}

export interface Fault {
  readonly code: HypervisorErrorCode;
  readonly message: string;
}

/** A domain as libvirt tells it at one moment. */
export interface DomainFacts {
  readonly uuid: string;
  readonly name: string;
  /** libvirt's count of starts, another one after each; absent while it does not run. */
  readonly runId?: number;
  readonly state: DomainState;
  /** It is off because it crashed, or its QEMU did. */
  readonly crashed?: boolean;
  readonly persistent: boolean;
  readonly title?: string;
  readonly description?: string;
  readonly metadata: readonly DomainMetadata[];
  readonly socket?: string;
  /** Another text for another socket at the same path; absent where it cannot be looked at. */
  readonly socketMade?: string;
  readonly port: PortState;
  /** Why its channel cannot be used. */
  readonly fault?: Fault;
}

export type PowerVerb = 'start' | 'stop' | 'destroy' | 'pause' | 'resume' | 'undefine';

/** What can be asked, with what is answered. The first request is `open`. */
export interface Requests {
  open: { ask: { uri: string; events: boolean }; answer: null };
  /** All domains, or those that run. */
  list: { ask: { active: boolean }; answer: DomainFacts[] };
  look: { ask: { uuid: string }; answer: DomainFacts | null };
  power: { ask: { verb: PowerVerb; uuid: string }; answer: null };
  attach: { ask: { uuid: string }; answer: PortChange };
  detach: { ask: { uuid: string }; answer: PortChange };
  snapshot: { ask: { uuid: string; name: string }; answer: null };
  revert: { ask: { uuid: string; name: string }; answer: null };
  snapshots: { ask: { uuid: string }; answer: (Omit<Snapshot, 'createdAt'> & { createdAt: number })[] };
}

export type RequestName = keyof Requests;
export type Request = {
  [Name in RequestName]: { readonly id: number; readonly request: Name } & Requests[Name]['ask'];
}[RequestName];

export type Answer =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly fault: Fault };

/** What happened to a domain; numbers as libvirt has them. Absent facts: it is gone. */
export type DomainEvent =
  | { readonly event: 'lifecycle'; readonly type: number; readonly detail: number }
  | { readonly event: 'rebooted' }
  | { readonly event: 'changed' };
export type EventMessage = DomainEvent & { readonly uuid: string; readonly facts?: DomainFacts };

export type Message = Answer | EventMessage | { readonly event: 'disconnected'; readonly fault: Fault };

const STDOUT = 1;

/** From the child, at once: whoever reads is always ready to. */
export function send(message: Message): void {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let sent = 0; sent < bytes.length; ) sent += writeSync(STDOUT, bytes, sent);
}
