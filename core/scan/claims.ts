/**
 * What a guest says that its files hash to. A guest that was never scanned, but is a clone of one that was, need
 * not send what is known already. That it has this content is then its own word; but its content would be no more
 * than that either, and nothing is ever kept under a hash that this host did not compute itself.
 *
 * Asking costs the guest the reading of files that it may have to read again to send them, so it is asked less and
 * less as long as it has little that is known.
 */
import type { GuestSession } from '../channel/session.ts';
import type { KnownGuest } from './known-guest.ts';
import { isSame } from './line.ts';
import type { KnownFile, Recall } from './recall.ts';
import { inRequests, type WantedFile } from './select.ts';

export interface ClaimParts {
  readonly session: GuestSession;
  readonly guest: KnownGuest;
  readonly recall: Recall;
  readonly maxFileBytes: number;
}

/** Of what the guest is asked for, so much must be known for it to be asked at once again. */
const WORTHWHILE_SHARE = 0.2;
const MOST_PASSED = 64;

export class Claims {
  private readonly parts: ClaimParts;
  /** Batches that pass unasked: after the next one, and yet to come of those. */
  private pause = 0;
  private passing = 0;

  constructor(parts: ClaimParts) {
    this.parts = parts;
  }

  /** Leaves out the files whose content, as the guest claims, is known to be clean. Rejects with ChannelError or StoreError. */
  withoutKnown(batches: AsyncIterable<WantedFile[]>, signal: AbortSignal): AsyncGenerator<WantedFile[]> {
    return inRequests(this.unknown(batches, signal), this.parts.maxFileBytes);
  }

  private async *unknown(
    batches: AsyncIterable<WantedFile[]>,
    signal: AbortSignal,
  ): AsyncGenerator<WantedFile> {
    for await (const batch of batches) {
      if (!this.parts.guest.takesClaims) yield* batch;
      else if (this.passing > 0) {
        this.passing -= 1;
        yield* batch;
      } else yield* await this.ask(batch, signal);
    }
  }

  private async ask(batch: readonly WantedFile[], signal: AbortSignal): Promise<WantedFile[]> {
    // What was seen in this guest before has changed, or its content has to be looked at anew.
    const [unseen, seen] = divide(batch, ({ inLine }) => inLine.expected === undefined);
    if (unseen.length === 0) return [...seen];
    const claimed: KnownFile[] = [];
    const unclaimed = new Set(unseen);
    const files = unseen.map(({ request }) => request);
    const { maxFileBytes, session, recall } = this.parts;
    for await (const claim of session.claimDigests({ files, maxFileBytes }, signal)) {
      const wanted = unseen[claim.index] as WantedFile;
      if ('failure' in claim || !isSame(wanted.inLine.listed, claim.facts)) continue;
      unclaimed.delete(wanted);
      claimed.push({ wanted, known: { sha256: claim.sha256, isClaimed: true } });
    }
    const left = await recall.notAnswered(claimed, signal);
    this.learn(1 - left.length / unseen.length);
    return [...seen, ...unclaimed, ...left];
  }

  private learn(share: number): void {
    this.pause = share >= WORTHWHILE_SHARE ? 0 : Math.min(MOST_PASSED, 2 * this.pause + 1);
    this.passing = this.pause;
  }
}

function divide<Item>(items: readonly Item[], is: (item: Item) => boolean): readonly [Item[], Item[]] {
  const those = items.filter(is);
  return [those, items.filter((item) => !is(item))];
}
