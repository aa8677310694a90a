/** What the service does for others, by means of the engine and of the guests' hypervisors. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { displayText, GuestPath, type WireBytes } from '../../protocol/index.ts';
import type { Domain } from '../channel/session.ts';
import { type LiveSettings, settingsFor } from '../config/index.ts';
import { isReachable } from '../hypervisor/port.ts';
import type { HostServices } from '../services.ts';
import type {
  ActionRecord,
  FindingRecord,
  Requester,
  VaultRecord,
  VmActionRecord,
} from '../store/records.ts';
import type { Identity } from './api/access.ts';
import { OperationError } from './error.ts';
import { giveMemoryBack } from './give-back.ts';
import type { GuestControl, Guests } from './guests.ts';
import type { Metrics } from './metrics.ts';
import type {
  FindingQuery,
  Operations,
  PatchOrder,
  PowerVerb,
  ScanOrder,
  ScanQuery,
  VmQuery,
} from './operations.ts';
import { Reads } from './reads.ts';
import type { ScanJobs } from './scan-jobs.ts';
import type { Triggers } from './triggers.ts';
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
  VmName,
  VmView,
} from './views.ts';
import { POWER_AFTER, type VmActionOrder, type VmActions } from './vm-actions.ts';
import { powerOf, vmView } from './vm-views.ts';

const WHOLE_GUEST = [GuestPath.of('/')];

const AFTER: Readonly<Partial<Record<PowerVerb, VmView['power']>>> = POWER_AFTER;
const TOLD_WITHIN_MS = 3_000;
const TOLD_AGAIN_MS = 50;
const ANSWERED_MS = 1_000;

export interface DaemonParts {
  readonly engine: HostServices;
  readonly settings: LiveSettings;
  readonly guests: Guests;
  readonly jobs: ScanJobs;
  readonly triggers: Triggers;
  readonly vmActions: Pick<VmActions, 'perform'>;
  readonly metrics: Pick<Metrics, 'text'>;
  readonly reload: () => Promise<ReloadView>;
  readonly health: () => HealthView;
}

export class DaemonOperations implements Operations {
  private readonly parts: DaemonParts;
  /** Work that must not be cut off when a caller goes away. */
  private readonly uncut = new AbortController().signal;

  private readonly reads: Reads;

  constructor(parts: DaemonParts) {
    this.parts = parts;
    const { records } = parts.engine;
    this.reads = new Reads({ records, vms: () => this.vms(), scans: () => this.liveScans() });
  }

  async vms(): Promise<VmView[]> {
    return this.parts.guests.list().map((watch) => this.viewOf(watch));
  }

  async vm(nameOrId: string): Promise<VmView> {
    return this.viewOf(this.parts.guests.find(nameOrId));
  }

  async power(vm: string, verb: PowerVerb, by: Identity): Promise<VmView> {
    const { id, ...found } = this.controlOf(vm);
    await this.act({ vm: { id, name: found.name }, action: verb, requester: requesterOf(by) }, found.control);
    await this.told(id, AFTER[verb]);
    return this.vm(id);
  }

  snapshot(vm: string, name: string, by: Identity): Promise<VmView> {
    return this.withSnapshot(vm, 'snapshot', name, by);
  }

  revert(vm: string, name: string, by: Identity): Promise<VmView> {
    return this.withSnapshot(vm, 'revert', name, by);
  }

  vmActions(query: VmQuery): Promise<Page<VmActionRecord>> {
    return this.reads.vmActions(query);
  }

  async startScan({ vm, roots, mode, dryRun = false, fresh = false }: ScanOrder): Promise<ScanView> {
    const { jobs, guests, settings } = this.parts;
    const { id, name } = guests.find(vm).domain;
    const order = {
      vm: { id, name },
      trigger: 'manual',
      mode: mode ?? settingsFor(settings.current, { id, name }).policy.mode,
      dryRun,
      fresh,
      roots: roots?.map((path) => GuestPath.of(path)) ?? WHOLE_GUEST,
    } as const;
    return jobs.begin(order).view();
  }

  scans(query: ScanQuery): Promise<Page<ScanView>> {
    return this.reads.scans(query);
  }

  scan(id: string): Promise<ScanView> {
    return this.reads.scan(id);
  }

  async liveScans(): Promise<readonly ScanView[]> {
    return this.parts.jobs.list().map((job) => job.view());
  }

  async cancelScan(id: string): Promise<ScanView> {
    const job = this.parts.jobs.find(id);
    if (!job) await this.scan(id);
    if (!job || job.isOver) throw new OperationError('wrong-state', 'this scan has ended already');
    job.cancel(new OperationError('cancelled', 'somebody cancelled it'));
    return job.view();
  }

  async *followScan(id: string, signal: AbortSignal): AsyncGenerator<ScanEvent> {
    const job = this.parts.jobs.find(id);
    if (job) yield* job.follow(signal);
    else yield { type: 'ended', scan: await this.scan(id) };
  }

  findings(query: FindingQuery): Promise<Page<FindingRecord>> {
    return this.reads.findings(query);
  }

  actions(query: VmQuery): Promise<Page<ActionRecord>> {
    return this.reads.actions(query);
  }

  quarantine(query: VmQuery): Promise<Page<VaultRecord>> {
    return this.reads.quarantine(query);
  }

  async restore(id: string, to?: WireBytes): Promise<void> {
    const place = to === undefined ? undefined : GuestPath.of(to);
    await this.parts.engine.quarantine.restore(id, this.uncut, place);
  }

  async purge(id: string): Promise<void> {
    await this.parts.engine.quarantine.purge(id);
  }

  async packs(): Promise<PackView[]> {
    const { packs } = this.parts.engine;
    const problems = await packs.problems();
    return packs.list().map(({ vendor, id, active, previous }) => ({
      ...{ vendor, id, active, builtIn: false },
      ...(previous && { previous }),
      problems: problems.filter(({ file }) => file === `${vendor}/${id}`).map(({ message }) => message),
    }));
  }

  async installPack(path: string): Promise<PackChangeView> {
    try {
      return await this.parts.engine.packs.install(path, this.uncut);
    } finally {
      // Whatever became of it. Once its answer is out, nothing holds what it took.
      setTimeout(() => void giveMemoryBack(), ANSWERED_MS).unref();
    }
  }

  rollbackPack(vendor: string, id: string): Promise<PackChangeView> {
    return this.parts.engine.packs.rollback(vendor, id, this.uncut);
  }

  async applyPatch({ vm, bundle, dryRun }: PatchOrder): Promise<PatchReportView> {
    const domain = this.domainOf(vm);
    const directory = await mkdtemp(join(tmpdir(), 'lazaret-bundle-'));
    try {
      const file = join(directory, 'bundle.yaml');
      await writeFile(file, bundle, { mode: 0o600 });
      const { patcher } = this.parts.engine;
      const report = await patcher.apply(domain, file, { dryRun, signal: this.uncut });
      const { id, name } = domain;
      return {
        ...report,
        vm: { id, name },
        reasons: [...report.reasons],
        changes: [...report.changes],
        actions: [...report.actions],
      };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async createToken(vm: string, lifetime?: number): Promise<TokenView> {
    const { engine, settings, guests } = this.parts;
    const { id, name } = guests.find(vm).domain;
    const { tokenLifetime } = settings.current.enrolment;
    return { vm: { id, name }, ...engine.enrolment.createToken(id, lifetime ?? tokenLifetime) };
  }

  async pendingEnrolments(): Promise<EnrolmentView[]> {
    return this.parts.engine.enrolment
      .pending()
      .map(({ vm, name, agentKey, login, firstSeen, lastSeen }) => ({
        vm: { id: vm, name },
        fingerprint: agentKey,
        agentVersion: login.agent.version,
        firstSeen,
        lastSeen,
      }));
  }

  async acceptEnrolment(vm: string, fingerprint: string): Promise<void> {
    const id = await this.reads.idOf(vm);
    this.parts.engine.enrolment.accept(id, fingerprint);
    await this.reconnect(id);
  }

  async resetEnrolment(vm: string): Promise<void> {
    const id = await this.reads.idOf(vm);
    this.parts.engine.enrolment.reset(id);
    await this.reconnect(id);
  }

  reload(): Promise<ReloadView> {
    return this.parts.reload();
  }

  async health(): Promise<HealthView> {
    return this.parts.health();
  }

  metrics(): Promise<string> {
    return this.parts.metrics.text();
  }

  /** Where the guest of this name or id is now. Throws OperationError. */
  domainOf(vm: string): Domain {
    const { domain } = this.parts.guests.find(vm);
    if (isReachable(domain)) return domain;
    throw new OperationError(
      'not-connected',
      `${displayText(domain.name)} has no channel at the moment: start it (lazaret vm start), or attach one (lazaret vm attach)`,
    );
  }

  /** The hypervisor tells of what was done a moment later: who looks then is to find it done. */
  private async told(id: string, power: VmView['power'] | undefined): Promise<void> {
    const { guests } = this.parts;
    for (let waited = 0; power !== undefined && waited < TOLD_WITHIN_MS; waited += TOLD_AGAIN_MS) {
      if (powerOf(guests.find(id).domain) === power) return;
      await pause(TOLD_AGAIN_MS);
    }
  }

  private viewOf(watch: Parameters<typeof vmView>[0]): VmView {
    const { engine, settings, triggers } = this.parts;
    return vmView(watch, {
      records: engine.records,
      groupOf: (vm) => settingsFor(settings.current, vm).group,
      nextScanOf: (vm) => triggers.nextScan(vm),
    });
  }

  private async withSnapshot(
    vm: string,
    action: 'snapshot' | 'revert',
    snapshot: string,
    by: Identity,
  ): Promise<VmView> {
    const { id, name, control } = this.controlOf(vm);
    await this.act({ vm: { id, name }, action, snapshot, requester: requesterOf(by) }, control);
    return this.vm(id);
  }

  private act(order: VmActionOrder, control: GuestControl): Promise<void> {
    return this.parts.vmActions.perform(order, control);
  }

  private controlOf(vm: string): VmName & { readonly control: GuestControl } {
    const { guests } = this.parts;
    const { control } = guests.sourceOf(vm);
    const { id, name } = guests.find(vm).domain;
    if (control) return { id, name, control };
    throw new OperationError(
      'not-supported',
      `${displayText(name)} is known by its socket only: use what it was started with`,
    );
  }

  /** With the key that counts now. */
  private async reconnect(id: string): Promise<void> {
    const watch = this.parts.guests.list().find(({ domain }) => domain.id === id);
    await watch?.renew();
  }
}

const requesterOf = ({ name, role }: Identity): Requester => ({ kind: 'api', name, role });
