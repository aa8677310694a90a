import { inject, injectable } from 'tsyringe';
import { StoreError } from '../error.ts';
import type { EventSink } from '../events/sink.ts';
import { noteLateOutcomes } from '../scan/response.ts';
import type { FindingStore } from '../store/findings.ts';
import type { VmRecord } from '../store/records.ts';
import type { VmStore } from '../store/vms.ts';
import { TOKENS } from '../tokens.ts';
import type { OpenSession } from '../vm-session.ts';
import type { ActingGuest, ActionExecutor, ClosedAction } from './execute.ts';
import type { Quarantine } from './quarantine.ts';

/** Quarantine by the ids that people see: finds the guest that a file came from, and connects to it. */
@injectable()
export class GuestQuarantine {
  constructor(
    @inject(TOKENS.quarantine) private readonly quarantine: Quarantine,
    @inject(TOKENS.vms) private readonly vms: VmStore,
    @inject(TOKENS.openSession) private readonly openSession: OpenSession,
    @inject(TOKENS.executor) private readonly executor: ActionExecutor,
    @inject(TOKENS.findings) private readonly findings: FindingStore,
    @inject(TOKENS.events) private readonly events: EventSink,
  ) {}

  async restore(id: string, signal: AbortSignal): Promise<void> {
    const { vm, status } = this.quarantine.restorable(id);
    const record = this.vms.find(vm);
    if (!record)
      throw new StoreError('not-found', `the guest that ${id} was taken from is not known any more`);
    await using session = await this.openSession(record, signal);
    if (status === 'arriving') await this.settle(session.guest);
    await this.quarantine.restore(session.guest, id, signal);
  }

  async purge(id: string): Promise<void> {
    const closed = await this.quarantine.purge(id);
    const vm = closed && this.vms.find(closed.vm);
    if (vm) await this.note([closed], vm);
  }

  /** The session may have been open for long, and what was left open with it as well. */
  private async settle(guest: ActingGuest): Promise<void> {
    const { closed, lost } = await this.executor.reconcile(guest);
    await this.note(closed, guest.vm);
    if (lost) throw lost;
  }

  private note(closed: readonly ClosedAction[], vm: VmRecord): Promise<void> {
    return noteLateOutcomes(closed, vm, { findings: this.findings, events: this.events });
  }
}
