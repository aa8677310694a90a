import { inject, injectable } from 'tsyringe';
import { type LiveSettings, settingsFor } from '../config/index.ts';
import { TOKENS } from '../tokens.ts';
import type { OpenSession } from '../vm-session.ts';
import { Places } from './places.ts';
import type { ScanHooks, ScanReport, ScanRequest } from './report.ts';
import { Tally } from './tally.ts';
import { guestsAtOnce } from './width.ts';

/** Scans guests by their domain: any number may be asked for at once, and so many as the host bears are scanned (`Places`). */
@injectable()
export class Scanner {
  private readonly openSession: OpenSession;
  private readonly places: Places;
  private readonly settings: LiveSettings;

  constructor(
    @inject(TOKENS.openSession) openSession: OpenSession,
    @inject(TOKENS.settings) settings: LiveSettings,
  ) {
    this.openSession = openSession;
    this.settings = settings;
    this.places = new Places({ atOnce: settings.current.scan.guestsAtOnce ?? guestsAtOnce() });
  }

  /**
   * Begins in turn; the first progress is told then. Rejects with ChannelError, ScanError or StoreError; what was
   * found until then is kept.
   */
  async scan(request: ScanRequest, hooks: ScanHooks): Promise<ScanReport> {
    const { domain } = request;
    const { cpuPercent, readBytesPerSecond } = settingsFor(this.settings.current, domain).budget;
    const isBudgeted = cpuPercent !== undefined || readBytesPerSecond !== undefined;
    using place = await this.places.take({ guest: domain.id, isBudgeted }, hooks.signal);
    const { pace } = place;
    hooks.onProgress?.(new Tally().snapshot('connecting'));
    await using session = await pace.waiting(this.openSession(domain, hooks.signal));
    return await session.scan.run(request, { ...hooks, pace });
  }
}
