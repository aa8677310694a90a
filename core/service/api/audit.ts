/** What the log has of requests: each one that changes something or was answered with a secret, and who was refused. */
import { displayText } from '../../../protocol/index.ts';
import type { Logger } from '../../api/index.ts';

export interface RequestFacts {
  /** Who asked, as configured; undefined when nobody that is known. */
  readonly who: string | undefined;
  /** An address, or `unix`. */
  readonly source: string;
  readonly method: string;
  /** As it came: it may be anything. */
  readonly untrustedUrl: string;
}

const SHOWN = 200;
/** Sources that are remembered; the first of them are forgotten when there are more. */
const REMEMBERED = 1024;
/** One line for each source and kind of refusal in this time. */
const AGAIN_AFTER = 60 * 60 * 1000;

interface Refusals {
  readonly since: number;
  suppressed: number;
}

export class Audit {
  private readonly logger: Logger;
  private readonly clock: () => number;
  private readonly refusals = new Map<string, Refusals>();

  constructor(logger: Logger, clock: () => number = Date.now) {
    this.logger = logger;
    this.clock = clock;
  }

  /** A privileged request was answered. */
  answered(request: RequestFacts, status: number): void {
    this.logger.info('api request', { ...shown(request), status });
  }

  /** A request was refused: told once for each source, and how often since when it is told again. */
  refused(request: RequestFacts, code: string): void {
    const now = this.clock();
    const key = JSON.stringify([request.source, request.who ?? null, code]);
    const known = this.refusals.get(key);
    if (known && now - known.since < AGAIN_AFTER) {
      known.suppressed += 1;
      return;
    }
    this.refusals.delete(key);
    this.refusals.set(key, { since: now, suppressed: 0 });
    const oldest = this.refusals.keys().next().value;
    if (this.refusals.size > REMEMBERED && oldest !== undefined) this.refusals.delete(oldest);
    const before = known && known.suppressed > 0 ? { alsoBefore: known.suppressed } : {};
    this.logger.warn('api request refused', { ...shown(request), code, ...before });
  }

  /** An error that nobody foresaw, with its causes: the caller is told nothing of it. */
  failed(request: RequestFacts, error: unknown): void {
    this.logger.warn('api request failed', { ...shown(request), error: stackOf(error) });
  }
}

const shown = ({ who, source, method, untrustedUrl }: RequestFacts) => ({
  who: who ?? 'nobody',
  source,
  request: `${method} ${displayText((untrustedUrl.split('?', 1)[0] ?? '').slice(0, SHOWN))}`,
});

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const because = error.cause === undefined ? '' : `\nbecause: ${stackOf(error.cause)}`;
  return (error.stack ?? error.message) + because;
}
