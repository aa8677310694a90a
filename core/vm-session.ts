import { inject, injectable } from 'tsyringe';
import type { ConnectedGuest } from './capability/connect.ts';
import type { Domain } from './channel/session.ts';
import type { ActingGuest } from './control/execute.ts';
import type { NeverTouch } from './control/never-touch.ts';
import { ScanRun } from './scan/scan-run.ts';
import { TOKENS } from './tokens.ts';

/** A guest that is connected, for as long as it is not disposed of. */
export interface GuestAccess extends AsyncDisposable {
  readonly guest: ActingGuest;
  readonly scan: Pick<ScanRun, 'run'>;
}

/** Connects to a guest. Rejects with ChannelError, InstructionError when what was left open cannot be settled, StoreError or EventError. */
export type OpenSession = (domain: Domain, signal: AbortSignal) => Promise<GuestAccess>;

/** Everything that belongs to one session of one VM; gone with it. */
@injectable()
export class VmSession implements GuestAccess {
  readonly guest: ActingGuest;
  readonly scan: ScanRun;
  private readonly connected: ConnectedGuest;

  constructor(
    @inject(TOKENS.guest) connected: ConnectedGuest,
    @inject(TOKENS.neverTouch) neverTouch: NeverTouch,
    @inject(ScanRun) scan: ScanRun,
  ) {
    this.connected = connected;
    this.guest = { ...connected, neverTouch };
    this.scan = scan;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connected.session.close();
  }
}
