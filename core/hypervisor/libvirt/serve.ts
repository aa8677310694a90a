/**
 * What the child process does: one connection to libvirt, requests answered in their order, events told as they
 * come. libvirt's own event loop is the loop of the process: it waits for the connection and for our stdin at once.
 */
import { readSync } from 'node:fs';
import { attach, detach } from './channel.ts';
import { Inspector, withDomain } from './inspect.ts';
import type { DomainEvent, EventMessage, Request, RequestName, Requests } from './messages.ts';
import { Failure, send } from './messages.ts';
import * as native from './native.ts';
import { power, revert, snapshot, snapshots } from './power.ts';

const STDIN = 0;
const READABLE_OR_ENDED = 1 | 4 | 8;
/** A libvirtd that is silent for this long is gone: 5 s between questions, 3 unanswered. */
const KEEP_ALIVE = { seconds: 5, count: 3 };
const CLOSE_REASONS = ['I/O error', 'libvirtd closed it', 'libvirtd does not answer', 'closed here'];
const EVENT = { lifecycle: 0, rebooted: 1, deviceRemoved: 15, deviceAdded: 19, metadata: 23 };

type Handlers = { [Name in RequestName]: (ask: Requests[Name]['ask']) => Requests[Name]['answer'] };

/** What arrived while libvirt was calling us; answered when it no longer is. */
const requests: string[] = [];
const events: (DomainEvent & { readonly uuid: string })[] = [];
let unfinished = '';
let connection: native.Pointer | undefined;
let inspector: Inspector | undefined;

const connected = (): native.Pointer => {
  if (connection === undefined) throw new Failure('invalid-request', 'open a connection first');
  return connection;
};
const inspecting = (): Inspector => {
  inspector ??= new Inspector(connected());
  return inspector;
};

const HANDLERS: Handlers = {
  open: ({ uri, events: wanted }) => {
    connection = native.openConnection(uri);
    watchConnection(connection);
    if (wanted) watchDomains(connection);
    return null;
  },
  list: ({ active }) => inspecting().list(active),
  look: ({ uuid }) => inspecting().byUuid(uuid) ?? null,
  power: ({ uuid, verb }) => {
    withDomain(connected(), uuid, (domain) => power(domain, verb));
    return null;
  },
  attach: ({ uuid }) => withDomain(connected(), uuid, attach),
  detach: ({ uuid }) => withDomain(connected(), uuid, detach),
  snapshot: ({ uuid, name }) => {
    withDomain(connected(), uuid, (domain) => snapshot(domain, name));
    return null;
  },
  revert: ({ uuid, name }) => {
    withDomain(connected(), uuid, (domain) => revert(domain, name));
    return null;
  },
  snapshots: ({ uuid }) => withDomain(connected(), uuid, snapshots),
};

function watchConnection(opened: native.Pointer): void {
  const closed = native.register((_connection: bigint, reason: number) => {
    const message = `the connection to libvirt was lost: ${CLOSE_REASONS[reason] ?? `reason ${reason}`}`;
    send({ event: 'disconnected', fault: { code: 'connection-failed', message } });
  }, 'closeCallback');
  optional(() => native.onClose(opened, closed, null, null));
  optional(() => native.setKeepAlive(opened, KEEP_ALIVE.seconds, KEEP_ALIVE.count));
}

function watchDomains(opened: native.Pointer): void {
  const watch = (id: number, callback: bigint) =>
    native.onDomainEvent(opened, null, id, callback, null, null);
  const lifecycle = (_connection: bigint, domain: bigint, type: number, detail: number): number => {
    events.push({ uuid: native.domainUuid(domain), event: 'lifecycle', type, detail });
    return 0;
  };
  const noted = (event: 'rebooted' | 'changed') => (_connection: bigint, domain: bigint) => {
    events.push({ uuid: native.domainUuid(domain), event });
  };
  watch(EVENT.lifecycle, native.register(lifecycle, 'lifecycleCallback'));
  // What follows is what the QEMU driver has; others have some of it.
  optional(() => watch(EVENT.rebooted, native.register(noted('rebooted'), 'genericCallback')));
  const changed = native.register(noted('changed'), 'textCallback');
  optional(() => watch(EVENT.deviceAdded, changed));
  optional(() => watch(EVENT.deviceRemoved, changed));
  optional(() => watch(EVENT.metadata, native.register(noted('changed'), 'metadataCallback')));
}

/** For what not every driver of libvirt has. */
function optional(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
}

/** libvirt's loop calls it when there is something to read. */
function read(): void {
  const buffer = Buffer.alloc(64 * 1024);
  const length = readSync(STDIN, buffer);
  // The driver has gone.
  if (length === 0) process.exit(0);
  const lines = (unfinished + buffer.toString('latin1', 0, length)).split('\n');
  unfinished = lines.pop() ?? '';
  requests.push(...lines);
}

function answer(line: string): void {
  const { id, request, ...ask } = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as Request;
  try {
    send({ id, answer: HANDLERS[request](ask as never) });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    send({ id, fault: { code: error.code, message: error.message } });
  }
}

/** A domain is looked at when nobody is inside libvirt any more; its facts are those of then. */
function tell(event: (typeof events)[number]): void {
  try {
    const facts = inspecting().byUuid(event.uuid);
    send({ ...event, ...(facts && { facts }) } satisfies EventMessage);
  } catch (error) {
    // A connection that broke says so by itself.
    if (!(error instanceof Failure)) throw error;
  }
}

/** Never returns. */
export function serve(): never {
  native.endWithParent();
  native.setErrorFunction(
    null,
    native.register(() => undefined, 'errorCallback'),
  );
  native.initialize();
  native.registerDefaultLoop();
  native.addHandle(STDIN, READABLE_OR_ENDED, native.register(read, 'handleCallback'), null, null);
  for (;;) {
    native.runLoopOnce();
    for (let event = events.shift(); event; event = events.shift()) tell(event);
    for (let line = requests.shift(); line !== undefined; line = requests.shift()) answer(line);
  }
}
