/** The thread of the API: serves it until it is told to close. Started by `serve-api.ts`. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Logger } from '../../api/index.ts';
import { describeError } from '../../error.ts';
import { ActionJournal } from '../../store/action-journal.ts';
import { StateDatabase } from '../../store/database.ts';
import { FindingStore } from '../../store/findings.ts';
import { ScanStore } from '../../store/scans.ts';
import { VaultIndex } from '../../store/vault-index.ts';
import { VmActionJournal } from '../../store/vm-action-journal.ts';
import { VmStore } from '../../store/vms.ts';
import { startApi } from '../api/server.ts';
import { DaemonError } from '../error.ts';
import { Reads } from '../reads.ts';
import { ScanFeed } from '../scan-feed.ts';
import type { ScanEvent } from '../views.ts';
import type { Asked, Method, ThreadData, Told } from './messages.ts';
import { RemoteOperations } from './remote-operations.ts';

class Service {
  private readonly port: MessagePort;
  private readonly calls = new Map<number, PromiseWithResolvers<unknown>>();
  private readonly feeds = new Map<number, ScanFeed>();
  private serial = 0;

  constructor(port: MessagePort) {
    this.port = port;
  }

  say(message: Asked): void {
    this.port.postMessage(message);
  }

  call(method: Method, ...args: readonly unknown[]): Promise<unknown> {
    const id = this.serial++;
    const call = Promise.withResolvers<unknown>();
    this.calls.set(id, call);
    this.say({ type: 'call', id, method, args });
    return call.promise;
  }

  async *follow(scan: string, signal: AbortSignal): AsyncGenerator<ScanEvent> {
    const id = this.serial++;
    const feed = new ScanFeed();
    this.feeds.set(id, feed);
    this.say({ type: 'follow', id, scan });
    try {
      yield* feed.follow(signal);
    } finally {
      this.feeds.delete(id);
      this.say({ type: 'unfollow', id });
    }
  }

  /** An answer, or an event. */
  hear(message: Exclude<Told, { type: 'close' | 'changed' }>): void {
    if (message.type === 'event') {
      this.feeds.get(message.id)?.publish(message.event);
      return;
    }
    const call = this.calls.get(message.id);
    this.calls.delete(message.id);
    if (message.type === 'value') call?.resolve(message.value);
    else call?.reject(new DaemonError(message.failure.code, message.failure.message));
  }
}

async function serve(port: MessagePort, { options, state }: ThreadData): Promise<void> {
  const service = new Service(port);
  const database = StateDatabase.read(state);
  database.onLeftOut = (row) => service.say({ type: 'left-out', row });
  const actions = new ActionJournal(database);
  const records = {
    vms: new VmStore(database),
    scans: new ScanStore(database),
    findings: new FindingStore(database),
    actions,
    vmActions: new VmActionJournal(database, actions),
    vault: new VaultIndex(database),
  };
  const operations = new RemoteOperations({
    call: (method, ...args) => service.call(method, ...args),
    follow: (scan, signal) => service.follow(scan, signal),
    reads: (now) => new Reads({ records, ...now }),
  });
  const closing = Promise.withResolvers<void>();
  port.on('message', (message: Told) => {
    if (message.type === 'close') closing.resolve();
    else if (message.type === 'changed') operations.expire();
    else service.hear(message);
  });
  const api = await startApi(operations, {
    ...options,
    logger: loggerOf(service),
    onAnswer: (route, status, milliseconds) => service.say({ type: 'answered', route, status, milliseconds }),
  });
  service.say({ type: 'ready', addresses: api.addresses });
  await closing.promise;
  await api.close();
  database.close();
  port.close();
}

function loggerOf(service: Service): Logger {
  const log =
    (level: 'debug' | 'info' | 'warn') =>
    (message: string, facts?: object): void =>
      service.say({ type: 'log', level, message, ...(facts && { facts }) });
  return { debug: log('debug'), info: log('info'), warn: log('warn') };
}

if (parentPort) {
  const port = parentPort;
  await serve(port, workerData as ThreadData).catch((error: unknown) => {
    port.postMessage({ type: 'not-started', failure: describeError(error) } satisfies Asked);
    port.close();
  });
}
