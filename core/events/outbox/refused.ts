/**
 * Events that a receiver would not take, for a person to look at: `outbox-refused.ndjson` in the state directory, one
 * line each with the sink, the reason and the event. Rotated once, so it takes 32 MiB at most.
 */
import { join } from 'node:path';
import { displayText } from '../../../protocol/index.ts';
import type { DeliveryError } from '../../error.ts';
import { RotatedFile } from '../outlets/rotated-file.ts';
import type { DeliveryClock } from './clock.ts';
import type { StoredEvent } from './outlet.ts';

const MOST_BYTES = 16 * 2 ** 20;

export class RefusedEvents {
  readonly path: string;
  private readonly file: RotatedFile;
  private readonly clock: DeliveryClock;
  private turn: Promise<void> = Promise.resolve();

  constructor(directory: string, clock: DeliveryClock) {
    this.path = join(directory, 'outbox-refused.ndjson');
    this.file = new RotatedFile({ path: this.path, maxBytes: MOST_BYTES, keep: 1, mode: 0o600 });
    this.clock = clock;
  }

  /** On the disk when it resolves. Rejects with DeliveryError `write-failed`. */
  add(sink: string, events: readonly StoredEvent[], reason: DeliveryError): Promise<void> {
    const at = new Date(this.clock.now()).toISOString();
    const head = JSON.stringify({ at, sink, reason: displayText(reason.message) }).slice(0, -1);
    // Lanes share the file: one after the other.
    const written = this.turn.then(() =>
      this.file.append(events.map(({ json }) => `${head},"event":${json}}\n`)),
    );
    this.turn = written.catch(() => undefined);
    return written;
  }
}
