import { inject, injectable } from 'tsyringe';
import { GuestPath } from '../../protocol/index.ts';
import { type LiveSettings, settingsFor } from '../config/index.ts';
import { StoreError } from '../error.ts';
import type { EventSink } from '../events/sink.ts';
import { noteLateOutcomes } from '../scan/response.ts';
import type { FindingStore } from '../store/findings.ts';
import type { VmRecord } from '../store/records.ts';
import type { VmStore } from '../store/vms.ts';
import { TOKENS } from '../tokens.ts';
import type { OpenSession } from '../vm-session.ts';
import type { ActingGuest, ActionExecutor, ClosedAction } from './execute.ts';
import { NeverTouch } from './never-touch.ts';
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
    @inject(TOKENS.settings) private readonly settings: LiveSettings,
  ) {}

  /** `to`: where in the same guest; default: where it was. */
  async restore(id: string, signal: AbortSignal, to?: GuestPath): Promise<void> {
    const { vm, status, finding } = this.quarantine.restorable(id);
    const record = this.vms.find(vm);
    if (!record)
      throw new StoreError('not-found', `the guest that ${id} was taken from is not known any more`);
    await using session = await this.openSession(record, signal);
    if (status === 'arriving') await this.settle(session.guest);
    const { policy } = settingsFor(this.settings.current, record);
    const neverTouch = new NeverTouch(policy.neverTouch.map((path) => GuestPath.of(path)));
    await this.quarantine.restore({ ...session.guest, neverTouch }, id, { to, signal });
    if (finding !== undefined) this.noteBack(finding, to);
  }

  /** What is in its guest again is not told of as contained. */
  private noteBack(finding: string, to: GuestPath | undefined): void {
    if (!this.findings.find(finding)) return;
    const where = to ? `, as ${to.display()}` : '';
    this.findings.setResponse(finding, 'reported', `restored from quarantine into its guest${where}`);
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
