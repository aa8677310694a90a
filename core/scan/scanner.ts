import { inject, injectable } from 'tsyringe';
import { TOKENS } from '../tokens.ts';
import type { OpenSession } from '../vm-session.ts';
import type { ScanHooks, ScanReport, ScanRequest } from './report.ts';
import { Tally } from './tally.ts';

/** Scans guests by their domain. */
@injectable()
export class Scanner {
  private readonly openSession: OpenSession;

  constructor(@inject(TOKENS.openSession) openSession: OpenSession) {
    this.openSession = openSession;
  }

  /** Rejects with ChannelError, ScanError or StoreError; what was found until then is kept. */
  async scan(request: ScanRequest, hooks: ScanHooks): Promise<ScanReport> {
    hooks.onProgress?.(new Tally().snapshot('connecting'));
    await using session = await this.openSession(request.domain, hooks.signal);
    return await session.scan.run(request, hooks);
  }
}
