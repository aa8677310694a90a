import { inject, injectable } from 'tsyringe';
import { GuestPath } from '../../protocol/index.ts';
import { type LiveSettings, settingsFor } from '../config/index.ts';
import { StoreError } from '../error.ts';
import type { VmStore } from '../store/vms.ts';
import { TOKENS } from '../tokens.ts';
import type { OpenSession } from '../vm-session.ts';
import { NeverTouch } from './never-touch.ts';
import type { Quarantine } from './quarantine.ts';

/** Quarantine by the ids that people see: finds the guest that a file came from, and connects to it. */
@injectable()
export class GuestQuarantine {
  constructor(
    @inject(TOKENS.quarantine) private readonly quarantine: Quarantine,
    @inject(TOKENS.vms) private readonly vms: VmStore,
    @inject(TOKENS.openSession) private readonly openSession: OpenSession,
    @inject(TOKENS.settings) private readonly settings: LiveSettings,
  ) {}

  /** `to`: where in the same guest; default: where it was. */
  async restore(id: string, signal: AbortSignal, to?: GuestPath): Promise<void> {
    const { vm } = this.quarantine.restorable(id);
    const record = this.vms.find(vm);
    if (!record)
      throw new StoreError('not-found', `the guest that ${id} was taken from is not known any more`);
    await using session = await this.openSession(record, signal);
    const { policy } = settingsFor(this.settings.current, record);
    const neverTouch = new NeverTouch(policy.neverTouch.map((path) => GuestPath.of(path)));
    await this.quarantine.restore({ ...session.guest, neverTouch }, id, { to, signal });
  }

  async purge(id: string): Promise<void> {
    await this.quarantine.purge(id);
  }
}
