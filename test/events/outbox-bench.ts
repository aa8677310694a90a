/** An outbox in a directory of its own for each test, on a clock that stands still. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, type Mock, vi } from 'vitest';
import type { Logger } from '../../core/api/index.ts';
import { DeliveryError } from '../../core/error.ts';
import { Outbox, type OutboxOptions } from '../../core/events/outbox/outbox.ts';
import type { EventOutlet, StoredEvent } from '../../core/events/outbox/outlet.ts';
import { event } from './events.ts';
import { ManualClock } from './manual-clock.ts';

export class OutboxBench {
  directory = '';
  clock = new ManualClock();
  readonly logger: Readonly<Record<'debug' | 'info' | 'warn', Mock<Logger['warn']>>> = {
    debug: vi.fn(),
    info: vi.fn(),
    warn: vi.fn(),
  };
  private boxes: Outbox[] = [];

  constructor() {
    beforeEach(() => {
      this.directory = mkdtempSync(join(tmpdir(), 'lazaret-outbox-'));
      this.clock = new ManualClock();
      this.boxes = [];
      for (const level of Object.values(this.logger)) level.mockReset();
    });
    afterEach(async () => {
      for (const box of this.boxes) await box.stop(0);
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  open(outlets: readonly EventOutlet[], more: Partial<OutboxOptions> = {}): Outbox {
    const { directory, clock, logger } = this;
    const box = new Outbox({ directory, bytes: 2 ** 20, outlets, logger, clock, random: () => 1, ...more });
    this.boxes.push(box);
    return box;
  }
}

export const emit = (box: Outbox, ...uids: string[]) => Promise.all(uids.map((uid) => box.emit(event(uid))));

export const series = (count: number, name = 'e'): string[] =>
  Array.from({ length: count }, (_, index) => `${name}${index}`);

export const uidsIn = (events: readonly StoredEvent[]): string[] => events.map(({ uid }) => uid);

export const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  );

/** Responds as a receiver that is not there. */
export const down = () => {
  throw new DeliveryError('unreachable', 'nobody is there');
};
