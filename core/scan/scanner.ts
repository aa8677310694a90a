import { inject, injectable } from 'tsyringe';
import { cancelled } from '../channel/deadline.ts';
import type { LiveSettings } from '../config/index.ts';
import { TOKENS } from '../tokens.ts';
import type { OpenSession } from '../vm-session.ts';
import type { ScanHooks, ScanReport, ScanRequest } from './report.ts';
import { Tally } from './tally.ts';
import { Turns } from './turns.ts';
import { guestsAtOnce } from './width.ts';

/** Scans guests by their domain: any number may be asked for at once, and so many as the host bears are scanned. */
@injectable()
export class Scanner {
  private readonly openSession: OpenSession;
  private readonly turns: Turns;

  constructor(
    @inject(TOKENS.openSession) openSession: OpenSession,
    @inject(TOKENS.settings) settings: LiveSettings,
  ) {
    this.openSession = openSession;
    this.turns = new Turns(settings.current.scan.guestsAtOnce ?? guestsAtOnce());
  }

  /**
   * Begins in turn; the first progress is told then. Rejects with ChannelError, ScanError or StoreError; what was
   * found until then is kept.
   */
  async scan(request: ScanRequest, hooks: ScanHooks): Promise<ScanReport> {
    if (!(await this.turns.enter(request, hooks.signal))) throw cancelled(hooks.signal);
    try {
      hooks.onProgress?.(new Tally().snapshot('connecting'));
      await using session = await this.openSession(request.domain, hooks.signal);
      return await session.scan.run(request, hooks);
    } finally {
      this.turns.leave();
    }
  }
}
