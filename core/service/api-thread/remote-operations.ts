/**
 * The service as the thread of the API has it. What was written down it reads itself; what is going on it asks the
 * service for, once for many requests; what is to be done it hands on. So that many questions take little of a service
 * that is busy scanning, and are answered while it is.
 */
import type { WireBytes } from '../../../protocol/index.ts';
import type { Identity } from '../api/access.ts';
import type {
  FindingQuery,
  Operations,
  PatchOrder,
  PowerVerb,
  ScanOrder,
  ScanQuery,
  VmQuery,
} from '../operations.ts';
import type { Reads } from '../reads.ts';
import type {
  EnrolmentView,
  HealthView,
  PackChangeView,
  PackView,
  PatchReportView,
  ReloadView,
  ScanEvent,
  ScanView,
  TokenView,
  VmView,
} from '../views.ts';
import { type Ages, Cached } from './cached.ts';
import type { Method } from './messages.ts';

export interface RemoteParts {
  /** Asks the service. Rejects with DaemonError. */
  call(method: Method, ...args: readonly unknown[]): Promise<unknown>;
  follow(scan: string, signal: AbortSignal): AsyncIterable<ScanEvent>;
  /** Made with the functions of these operations. */
  reads(now: { vms: () => Promise<readonly VmView[]>; scans: () => Promise<readonly ScanView[]> }): Reads;
}

/** A service that is busy scanning answers when it comes to it; nobody waits for that who looks at what was a moment ago. */
const AGES: Ages = { fresh: 200, stale: 3_000, patience: 20 };
/** Different pages that are kept at once. */
const MOST_PAGES = 64;

export class RemoteOperations implements Operations {
  private readonly parts: RemoteParts;
  private readonly reads: Reads;
  private readonly allVms: Cached<readonly VmView[]>;
  private readonly liveScans: Cached<readonly ScanView[]>;
  private readonly condition: Cached<HealthView>;
  private readonly pages = new Map<string, Cached<unknown>>();

  constructor(parts: RemoteParts) {
    this.parts = parts;
    this.allVms = new Cached(() => this.ask<readonly VmView[]>('vms'), AGES);
    this.liveScans = new Cached(() => this.ask<readonly ScanView[]>('liveScans'), AGES);
    this.condition = new Cached(() => this.ask<HealthView>('health'), AGES);
    this.reads = parts.reads({ vms: () => this.vms(), scans: () => this.liveScans.get() });
  }

  vms(): Promise<readonly VmView[]> {
    return this.allVms.get();
  }

  vm(nameOrId: string): Promise<VmView> {
    return this.reads.vm(nameOrId);
  }

  scans(query: ScanQuery) {
    return this.page('scans', query, () => this.reads.scans(query));
  }

  scan(id: string): Promise<ScanView> {
    return this.reads.scan(id);
  }

  findings(query: FindingQuery) {
    return this.page('findings', query, () => this.reads.findings(query));
  }

  actions(query: VmQuery) {
    return this.page('actions', query, () => this.reads.actions(query));
  }

  quarantine(query: VmQuery) {
    return this.page('quarantine', query, () => this.reads.quarantine(query));
  }

  health(): Promise<HealthView> {
    return this.condition.get();
  }

  followScan(id: string, signal: AbortSignal): AsyncIterable<ScanEvent> {
    return this.parts.follow(id, signal);
  }

  packs(): Promise<readonly PackView[]> {
    return this.ask('packs');
  }

  pendingEnrolments(): Promise<readonly EnrolmentView[]> {
    return this.ask('pendingEnrolments');
  }

  metrics(): Promise<string> {
    return this.ask('metrics');
  }

  power(vm: string, verb: PowerVerb, by: Identity): Promise<VmView> {
    return this.change('power', vm, verb, by);
  }

  snapshot(vm: string, name: string, by: Identity): Promise<VmView> {
    return this.change('snapshot', vm, name, by);
  }

  revert(vm: string, name: string, by: Identity): Promise<VmView> {
    return this.change('revert', vm, name, by);
  }

  vmActions(query: VmQuery) {
    return this.page('vmActions', query, () => this.reads.vmActions(query));
  }

  startScan(order: ScanOrder): Promise<ScanView> {
    return this.change('startScan', order);
  }

  cancelScan(id: string): Promise<ScanView> {
    return this.change('cancelScan', id);
  }

  restore(id: string, to?: WireBytes): Promise<void> {
    return this.change('restore', id, to);
  }

  purge(id: string): Promise<void> {
    return this.change('purge', id);
  }

  installPack(path: string): Promise<PackChangeView> {
    return this.change('installPack', path);
  }

  rollbackPack(vendor: string, id: string): Promise<PackChangeView> {
    return this.change('rollbackPack', vendor, id);
  }

  applyPatch(order: PatchOrder): Promise<PatchReportView> {
    return this.change('applyPatch', order);
  }

  createToken(vm: string, lifetime?: number): Promise<TokenView> {
    return this.change('createToken', vm, lifetime);
  }

  acceptEnrolment(vm: string, fingerprint: string): Promise<void> {
    return this.change('acceptEnrolment', vm, fingerprint);
  }

  resetEnrolment(vm: string): Promise<void> {
    return this.change('resetEnrolment', vm);
  }

  reload(): Promise<ReloadView> {
    return this.change('reload');
  }

  /** The service is this project's own: its answers have the types of its methods. */
  private ask<T>(method: Method, ...args: readonly unknown[]): Promise<T> {
    return this.parts.call(method, ...args) as Promise<T>;
  }

  /** Those who watch ask for the same pages over and over. */
  private page<T>(of: string, query: ScanQuery | FindingQuery, load: () => Promise<T>): Promise<T> {
    const { vm, limit, before } = query;
    const only = [vm, 'scan' in query && query.scan, 'state' in query && query.state];
    const key = JSON.stringify([of, limit, before, ...only]);
    let known = this.pages.get(key) as Cached<T> | undefined;
    if (known === undefined) {
      if (this.pages.size >= MOST_PAGES) this.pages.clear();
      known = new Cached(load, AGES);
      this.pages.set(key, known);
    }
    return known.get();
  }

  /** Whoever changed something finds it changed when they look. */
  private async change<T>(method: Method, ...args: readonly unknown[]): Promise<T> {
    try {
      return await this.ask<T>(method, ...args);
    } finally {
      for (const known of this.known()) known.forget();
    }
  }

  /** Something changed in the service: it is asked before it is told as it was. */
  expire(): void {
    for (const known of this.known()) known.expire();
  }

  private known(): Cached<unknown>[] {
    return [this.allVms, this.liveScans, this.condition, ...this.pages.values()];
  }
}
