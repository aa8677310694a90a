/** A daemon in memory: what the API and its clients are tried on. */
import { readFile } from 'node:fs/promises';
import type { WireBytes } from '../../../protocol/index.ts';
import { cleanReport, finding, progress, vm as record } from '../../../test/records.ts';
import type { ActionRecord, FindingRecord, VaultRecord, VmActionRecord } from '../../store/records.ts';
import type { Identity } from '../api/access.ts';
import { OperationError } from '../error.ts';
import type { FindingQuery, Operations, PatchOrder, PowerVerb, ScanOrder, ScanQuery } from '../operations.ts';
import { ScanFeed } from '../scan-feed.ts';
import type {
  EnrolmentView,
  HealthView,
  PackChangeView,
  PackView,
  Page,
  PatchReportView,
  ReloadView,
  ScanEvent,
  ScanView,
  TokenView,
  VmView,
} from '../views.ts';

export const NOON = Date.UTC(2026, 10, 22, 12);
const SHA = 'ab'.repeat(32);

const vmView = (): VmView => ({
  id: record().id,
  name: 'web-1',
  group: 'default',
  power: 'running',
  channel: 'open',
  connection: { state: 'connected', since: NOON },
  lastSeen: NOON,
  system: 'Debian \u001b[31m</script> 12',
});

const offView = (): VmView => ({
  id: '00000000-0000-4000-8000-000000000002',
  name: 'db-1',
  group: 'default',
  power: 'off',
  channel: 'unknown',
  connection: { state: 'waiting', since: NOON, error: { code: 'connect-failed', message: 'it is off' } },
});

const VERSION = { serial: 2, version: '2.0', digest: SHA, expires: '2030-01-01T00:00:00Z', signatures: 3 };

export const quarantined = (): VaultRecord => ({
  id: 'held-1',
  vm: record().id,
  action: 'action-1',
  path: { b64: Buffer.from([0x2f, 0xff, 0x0a]).toString('base64') },
  sha256: SHA,
  size: 68,
  status: 'held',
  at: NOON,
});

export const action = (): ActionRecord => ({
  id: 'action-1',
  vm: record().id,
  instructionSet: 'set-1',
  epoch: 1,
  expires: NOON,
  instruction: { name: 'contain:file', target: { path: '/tmp/x', dev: '1', ino: '2', sha256: SHA } },
  intentAt: NOON,
  outcome: { code: 'done' },
  outcomeAt: NOON,
});

export const vmAction = (): VmActionRecord => ({
  id: 'vm-action-1',
  vm: record().id,
  action: 'revert',
  snapshot: 'clean',
  requester: { kind: 'api', name: 'night-shift', role: 'admin' },
  intentAt: NOON,
  outcome: { code: 'unknown', detail: 'the hypervisor did not answer' },
  outcomeAt: NOON,
});

export class MemoryOperations implements Operations {
  /** What was asked, in order. */
  readonly calls: string[] = [];
  /** By whom VMs were acted upon, in order. */
  readonly askedBy: (Identity | undefined)[] = [];
  /** Thrown by every method that is asked of a VM, where it is set. */
  failure: Error | undefined;
  ready = true;
  readonly machines: VmView[] = [vmView(), offView()];
  /** The content of packs that were installed. */
  readonly installed: Buffer[] = [];
  /** Called with each scan that is asked for. */
  onScan: ((scan: ScanView) => void) | undefined;
  onCancel: ((scan: ScanView) => void) | undefined;
  onInstall: (() => Promise<void>) | undefined;
  private readonly known = new Map<string, ScanView>();
  private readonly feeds = new Map<string, ScanFeed>();

  async vms(): Promise<VmView[]> {
    return this.machines;
  }

  async vm(nameOrId: string): Promise<VmView> {
    if (this.failure) throw this.failure;
    const found = this.machines.find(({ id, name }) => id === nameOrId || name === nameOrId);
    if (!found) throw new OperationError('unknown-vm', `no VM is called ${nameOrId}`);
    return found;
  }

  power(vm: string, verb: PowerVerb, by?: Identity): Promise<VmView> {
    this.askedBy.push(by);
    return this.did(`${verb} ${vm}`, () => this.vm(vm));
  }

  snapshot(vm: string, name: string, by?: Identity): Promise<VmView> {
    this.askedBy.push(by);
    return this.did(`snapshot ${vm} ${name}`, () => this.vm(vm));
  }

  revert(vm: string, name: string, by?: Identity): Promise<VmView> {
    this.askedBy.push(by);
    return this.did(`revert ${vm} ${name}`, () => this.vm(vm));
  }

  async startScan(order: ScanOrder): Promise<ScanView> {
    const { id, name } = await this.vm(order.vm);
    const { mode = 'detect', dryRun = false } = order;
    this.calls.push(`scan ${JSON.stringify(order)}`);
    const scan: ScanView = {
      ...{ id: `scan-${this.known.size + 1}`, vm: { id, name }, mode, dryRun },
      ...{ trigger: 'manual', state: 'queued', queuedAt: NOON },
    };
    this.known.set(scan.id, scan);
    this.tell(scan.id, { type: 'progress', progress: progress() });
    this.onScan?.(scan);
    return scan;
  }

  async scans({ state }: ScanQuery): Promise<Page<ScanView>> {
    const items = [...this.known.values()].filter((scan) => state === undefined || scan.state === state);
    return { items };
  }

  async scan(id: string): Promise<ScanView> {
    const scan = this.known.get(id);
    if (!scan) throw new OperationError('unknown-scan', `there is no scan ${id}`);
    return scan;
  }

  async cancelScan(id: string): Promise<ScanView> {
    const scan = await this.scan(id);
    this.calls.push(`cancel ${id}`);
    this.onCancel?.(scan);
    return scan;
  }

  async *followScan(id: string, signal: AbortSignal): AsyncGenerator<ScanEvent> {
    await this.scan(id);
    yield* this.feedOf(id).follow(signal);
  }

  followersOf(id: string): number {
    return this.feedOf(id).size;
  }

  /** Tells all that follow the scan. */
  tell(id: string, event: ScanEvent): void {
    this.feedOf(id).publish(event);
  }

  /** Ends the scan, and tells so. */
  end(id: string, end: Partial<ScanView> = {}, report = cleanReport()): void {
    const scan = this.known.get(id);
    if (!scan) throw new Error(`no scan ${id}`);
    const ended: ScanView = { ...scan, state: 'finished', finishedAt: NOON + 1000, ...end };
    this.known.set(id, ended);
    this.tell(id, { type: 'ended', scan: ended, ...(ended.state === 'finished' && { report }) });
  }

  async findings({ limit, before }: FindingQuery): Promise<Page<FindingRecord>> {
    this.calls.push(`findings ${limit} ${before ?? '-'}`);
    return before === undefined ? { items: [finding()], next: 'finding-1' } : { items: [] };
  }

  async actions(): Promise<Page<ActionRecord>> {
    return { items: [action()] };
  }

  async vmActions(): Promise<Page<VmActionRecord>> {
    return { items: [vmAction()] };
  }

  async quarantine(): Promise<Page<VaultRecord>> {
    return { items: [quarantined()] };
  }

  restore(id: string, to?: WireBytes): Promise<void> {
    return this.held(`restore ${id}${to === undefined ? '' : ` to ${JSON.stringify(to)}`}`, id);
  }

  purge(id: string): Promise<void> {
    return this.held(`purge ${id}`, id);
  }

  async packs(): Promise<PackView[]> {
    return [{ vendor: 'acme', id: 'rules', active: VERSION, builtIn: false, problems: [] }];
  }

  async installPack(path: string): Promise<PackChangeView> {
    await this.onInstall?.();
    this.installed.push(await readFile(path));
    this.calls.push(`install ${path}`);
    return { vendor: 'acme', id: 'rules', active: VERSION };
  }

  async rollbackPack(vendor: string, id: string): Promise<PackChangeView> {
    this.calls.push(`rollback ${vendor}/${id}`);
    return {
      vendor,
      id,
      active: { ...VERSION, serial: 1, version: '1.0', digest: 'cd'.repeat(32) },
      before: VERSION,
    };
  }

  async applyPatch({ vm, bundle, dryRun }: PatchOrder): Promise<PatchReportView> {
    const { id, name } = await this.vm(vm);
    this.calls.push(`patch ${vm} ${bundle.length}${dryRun ? ' dry' : ''}`);
    return {
      ...{ vm: { id, name }, patch: 'sshd', title: 'Harden sshd', state: dryRun ? 'applicable' : 'applied' },
      ...{ reasons: [], changes: [{ path: '/etc/ssh/sshd_config', does: 'replace' }], actions: ['a'] },
    };
  }

  async createToken(vm: string, lifetime?: number): Promise<TokenView> {
    const { id, name } = await this.vm(vm);
    this.calls.push(`token ${vm}${lifetime === undefined ? '' : ` ${lifetime}`}`);
    return { vm: { id, name }, token: 'a-token', expires: NOON };
  }

  async pendingEnrolments(): Promise<EnrolmentView[]> {
    const { id, name } = vmView();
    return [{ vm: { id, name }, fingerprint: SHA, firstSeen: NOON, lastSeen: NOON }];
  }

  async acceptEnrolment(vm: string, fingerprint: string): Promise<void> {
    this.calls.push(`accept ${vm} ${fingerprint.slice(0, 4)}`);
  }

  async resetEnrolment(vm: string): Promise<void> {
    this.calls.push(`reset ${vm}`);
  }

  async reload(): Promise<ReloadView> {
    this.calls.push('reload');
    return { files: ['/etc/lazaret/lazaret.yaml'], problems: [], vms: 2 };
  }

  async health(): Promise<HealthView> {
    return { live: true, ready: this.ready, reasons: this.ready ? [] : ['libvirt is not there'] };
  }

  async metrics(): Promise<string> {
    return '# HELP lazaret_vms VMs\nlazaret_vms 2\n';
  }

  private feedOf(id: string): ScanFeed {
    const feed = this.feeds.get(id) ?? new ScanFeed();
    this.feeds.set(id, feed);
    return feed;
  }

  private async did<Result>(call: string, work: () => Promise<Result>): Promise<Result> {
    const result = await work();
    this.calls.push(call);
    return result;
  }

  private async held(call: string, id: string): Promise<void> {
    if (id !== quarantined().id)
      throw new OperationError('unknown-file', `there is no file ${id} in quarantine`);
    this.calls.push(call);
  }
}
