/**
 * What can be told from the records alone, with what is going on now beside them. Needs the database for reading only,
 * so that whoever asks a lot need not disturb those who scan.
 */
import type { Records } from '../services.ts';
import type {
  ActionRecord,
  FindingRecord,
  ScanRecord,
  VaultRecord,
  VmActionRecord,
} from '../store/records.ts';
import { OperationError } from './error.ts';
import type { FindingQuery, ScanQuery, VmQuery } from './operations.ts';
import type { Page, ScanView, VmView } from './views.ts';
import { scanView } from './vm-views.ts';

export interface ReadParts {
  readonly records: Records;
  /** All VMs that are looked after now. */
  readonly vms: () => Promise<readonly VmView[]>;
  /** Scans that wait, run, or ended not long ago, newest first. */
  readonly scans: () => Promise<readonly ScanView[]>;
}

export class Reads {
  private readonly parts: ReadParts;

  constructor(parts: ReadParts) {
    this.parts = parts;
  }

  async vm(nameOrId: string): Promise<VmView> {
    const vms = await this.parts.vms();
    const [first, second] = vms.filter(({ id, name }) => id === nameOrId || name === nameOrId);
    if (first === undefined)
      throw new OperationError('unknown-vm', 'there is no such VM: lazaret vm list shows them');
    if (second === undefined || first.id === nameOrId) return first;
    throw new OperationError('ambiguous-vm', 'several VMs are called so: name it by its id');
  }

  /** Those that are not in the records yet come first, on the first page. */
  async scans({ vm, state, ...query }: ScanQuery): Promise<Page<ScanView>> {
    const { records } = this.parts;
    const id = vm === undefined ? undefined : await this.idOf(vm);
    const now = await this.parts.scans();
    const isWanted = (view: ScanView): boolean =>
      (id === undefined || view.vm.id === id) && (state === undefined || view.state === state);
    const unrecorded = now.filter((view) => isWanted(view) && records.scans.readable(view.id) === undefined);
    const first = query.before === undefined ? unrecorded.slice(0, query.limit) : [];
    const filter = { ...(id !== undefined && { vm: id }), ...(state !== undefined && { state }) };
    // At least one, so that there is a `next` where there is more.
    const page = records.scans.page(filter, { ...query, limit: Math.max(1, query.limit - first.length) });
    const recorded = page.items.map((record) => this.latest(record, now));
    return { ...page, items: [...first, ...recorded] };
  }

  async scan(id: string): Promise<ScanView> {
    const now = (await this.parts.scans()).find((view) => view.id === id);
    if (now) return now;
    const record = this.parts.records.scans.find(id);
    if (!record) throw new OperationError('unknown-scan', 'there is no scan with this id');
    return this.viewOf(record);
  }

  async findings({ vm, scan, ...query }: FindingQuery): Promise<Page<FindingRecord>> {
    const filter = { ...(await this.filterOf(vm)), ...(scan !== undefined && { scan }) };
    return this.parts.records.findings.page(filter, query);
  }

  async actions({ vm, ...query }: VmQuery): Promise<Page<ActionRecord>> {
    return this.parts.records.actions.page(await this.filterOf(vm), query);
  }

  async vmActions({ vm, ...query }: VmQuery): Promise<Page<VmActionRecord>> {
    return this.parts.records.vmActions.page(await this.filterOf(vm), query);
  }

  async quarantine({ vm, ...query }: VmQuery): Promise<Page<VaultRecord>> {
    return this.parts.records.vault.page(await this.filterOf(vm), query);
  }

  /** Also of a VM that is gone, whose records are still there. Rejects with OperationError. */
  async idOf(vm: string): Promise<string> {
    const vms = await this.parts.vms();
    if (vms.some(({ id, name }) => id === vm || name === vm)) return (await this.vm(vm)).id;
    const { records } = this.parts;
    const record = records.vms.readable(vm) ?? records.vms.list().find(({ name }) => name === vm);
    return record ? record.id : (await this.vm(vm)).id;
  }

  private async filterOf(vm: string | undefined): Promise<{ vm?: string }> {
    return vm === undefined ? {} : { vm: await this.idOf(vm) };
  }

  /** What is going on was asked for before the record was read: one that has ended meanwhile is as its record has it. */
  private latest(record: ScanRecord, now: readonly ScanView[]): ScanView {
    const view = now.find(({ id }) => id === record.id);
    const isBehind = view?.finishedAt === undefined && record.state !== 'running';
    return view && !isBehind ? view : this.viewOf(record);
  }

  private viewOf(record: Parameters<typeof scanView>[0]): ScanView {
    const name = this.parts.records.vms.readable(record.vm)?.name ?? record.vm;
    return scanView(record, { id: record.vm, name });
  }
}
