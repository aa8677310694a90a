/** The daemon's operations, over its unix socket. */
import { open } from 'node:fs/promises';
import { z } from 'zod';
import { CodedError, type WireBytes } from '../../protocol/index.ts';
import { PackError } from '../pack/error.ts';
import type { ActionRecord, FindingRecord, VaultRecord, VmActionRecord } from '../store/records.ts';
import { type Asked, causeCode, noAnswer, Transport } from './client-transport.ts';
import { ApiError } from './error.ts';
import { readEvents } from './event-reader.ts';
import type {
  FindingQuery,
  Operations,
  PatchOrder,
  PowerVerb,
  ScanOrder,
  ScanQuery,
  VmQuery,
} from './operations.ts';
import {
  ActionView,
  EnrolmentView,
  FindingView,
  HealthView,
  PackChangeView,
  PackView,
  type Page,
  PatchReportView,
  pageOf,
  QuarantineView,
  ReloadView,
  type ScanEvent,
  ScanView,
  TokenView,
  VmActionView,
  VmView,
} from './views.ts';

/** Where nobody listens, or nothing is. */
const NOBODY: ReadonlySet<unknown> = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR']);
const NOT_LET_IN: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM']);

/**
 * The daemon that listens there; undefined when there is none. Rejects with ApiError: `forbidden` when this user may
 * not use its socket, `no-answer` when what is there does not speak as the daemon does.
 */
export async function connectDaemon(socketPath: string): Promise<DaemonClient | undefined> {
  const transport = new Transport(socketPath);
  try {
    const live = z.object({ live: z.boolean() });
    await transport.ask({ method: 'GET', path: '/livez', expected: [503] }, live);
  } catch (error) {
    const code = causeCode(error);
    if (NOBODY.has(code)) return undefined;
    if (!NOT_LET_IN.has(code)) throw error;
    const next = 'be in the group of its socket, or work without it by naming a state directory with --state';
    throw new ApiError('forbidden', `this user may not use the daemon at ${socketPath}: ${next}`, {
      cause: error,
    });
  }
  return new DaemonClient(transport);
}

const itemsOf = <Item>(item: z.ZodType<Item>) => z.object({ items: z.array(item) });
const nothing = z.undefined();

/** Parts of a path are escaped, whatever is in them. */
const path = (parts: TemplateStringsArray, ...values: readonly string[]): string =>
  String.raw({ raw: parts }, ...values.map(encodeURIComponent));

function withQuery(base: string, query: object): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return `${base}?${new URLSearchParams(given.map(([key, value]) => [key, String(value)]))}`;
}

export class DaemonClient implements Operations {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  async vms(): Promise<readonly VmView[]> {
    return (await this.get('/v1/vms', itemsOf(VmView))).items;
  }

  vm(nameOrId: string): Promise<VmView> {
    return this.get(path`/v1/vms/${nameOrId}`, VmView);
  }

  power(vm: string, verb: PowerVerb): Promise<VmView> {
    return this.post(path`/v1/vms/${vm}/${verb}`, undefined, VmView);
  }

  snapshot(vm: string, name: string): Promise<VmView> {
    return this.post(path`/v1/vms/${vm}/snapshots`, { name }, VmView);
  }

  revert(vm: string, name: string): Promise<VmView> {
    return this.post(path`/v1/vms/${vm}/revert`, { name }, VmView);
  }

  startScan(order: ScanOrder): Promise<ScanView> {
    return this.post('/v1/scans', order, ScanView);
  }

  scans(query: ScanQuery): Promise<Page<ScanView>> {
    return this.get(withQuery('/v1/scans', query), pageOf(ScanView));
  }

  scan(id: string): Promise<ScanView> {
    return this.get(path`/v1/scans/${id}`, ScanView);
  }

  cancelScan(id: string): Promise<ScanView> {
    return this.post(path`/v1/scans/${id}/cancel`, undefined, ScanView);
  }

  async *followScan(id: string, signal: AbortSignal): AsyncGenerator<ScanEvent> {
    try {
      const source = await this.transport.open({ method: 'GET', path: path`/v1/scans/${id}/events`, signal });
      for await (const event of readEvents(source)) {
        yield event;
        if (event.type === 'ended') return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof CodedError) throw error;
      throw noAnswer('the connection broke off', error);
    }
    if (!signal.aborted) throw noAnswer('the connection was closed before the scan had ended');
  }

  findings(query: FindingQuery): Promise<Page<FindingRecord>> {
    return this.get(withQuery('/v1/findings', query), pageOf(FindingView));
  }

  actions(query: VmQuery): Promise<Page<ActionRecord>> {
    return this.get(withQuery('/v1/actions', query), pageOf(ActionView));
  }

  vmActions(query: VmQuery): Promise<Page<VmActionRecord>> {
    return this.get(withQuery('/v1/vm-actions', query), pageOf(VmActionView));
  }

  quarantine(query: VmQuery): Promise<Page<VaultRecord>> {
    return this.get(withQuery('/v1/quarantine', query), pageOf(QuarantineView));
  }

  async restore(id: string, to?: WireBytes): Promise<void> {
    const order = to === undefined ? undefined : { to };
    await this.post(path`/v1/quarantine/${id}/restore`, order, nothing);
  }

  async purge(id: string): Promise<void> {
    await this.ask({ method: 'DELETE', path: path`/v1/quarantine/${id}` }, nothing);
  }

  async packs(): Promise<readonly PackView[]> {
    return (await this.get('/v1/packs', itemsOf(PackView))).items;
  }

  /** Sends the archive: the daemon need not be able to read where it lies. */
  async installPack(archive: string): Promise<PackChangeView> {
    await using file = await open(archive).catch((cause: Error) => {
      throw new PackError('unreadable', `${archive} cannot be read: ${cause.message}`, { cause });
    });
    const bytes = file.createReadStream({ autoClose: false });
    return await this.ask({ method: 'POST', path: '/v1/packs', bytes }, PackChangeView);
  }

  rollbackPack(vendor: string, id: string): Promise<PackChangeView> {
    return this.post(path`/v1/packs/${vendor}/${id}/rollback`, undefined, PackChangeView);
  }

  applyPatch(order: PatchOrder): Promise<PatchReportView> {
    return this.post('/v1/patches', order, PatchReportView);
  }

  createToken(vm: string, lifetime?: number): Promise<TokenView> {
    return this.post(withQuery(path`/v1/enrolments/${vm}/token`, { lifetime }), undefined, TokenView);
  }

  async pendingEnrolments(): Promise<readonly EnrolmentView[]> {
    return (await this.get('/v1/enrolments', itemsOf(EnrolmentView))).items;
  }

  async acceptEnrolment(vm: string, fingerprint: string): Promise<void> {
    await this.post(path`/v1/enrolments/${vm}/accept`, { fingerprint }, nothing);
  }

  async resetEnrolment(vm: string): Promise<void> {
    await this.ask({ method: 'DELETE', path: path`/v1/enrolments/${vm}` }, nothing);
  }

  reload(): Promise<ReloadView> {
    return this.post('/v1/reload', undefined, ReloadView);
  }

  health(): Promise<HealthView> {
    // A daemon that is not ready says so with a status of its own.
    return this.ask({ method: 'GET', path: '/readyz', expected: [503] }, HealthView);
  }

  metrics(): Promise<string> {
    return this.transport.text({ method: 'GET', path: '/metrics' });
  }

  private get<Answer>(at: string, schema: z.ZodType<Answer>): Promise<Answer> {
    return this.ask({ method: 'GET', path: at }, schema);
  }

  private post<Answer>(at: string, json: unknown, schema: z.ZodType<Answer>): Promise<Answer> {
    return this.ask({ method: 'POST', path: at, json }, schema);
  }

  private ask<Answer>(asked: Asked, schema: z.ZodType<Answer>): Promise<Answer> {
    return this.transport.ask(asked, schema);
  }
}
