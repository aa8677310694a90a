/** Outlets that are told how to behave. */
import type { EventOutlet, StoredEvent } from '../../core/events/outbox/outlet.ts';

export interface ScriptedOutlet extends EventOutlet {
  /** What it took. */
  readonly got: StoredEvent[];
  /** Every try: how many events it had. */
  readonly tries: number[];
  /** Takes each batch, or rejects. */
  respond: (batch: readonly StoredEvent[], signal: AbortSignal) => void | Promise<void>;
  /** Resolves when it has so many. */
  has(events: number): Promise<void>;
}

export function scriptedOutlet(name = 'scripted', batch = { events: 100, bytes: 2 ** 20 }): ScriptedOutlet {
  const got: StoredEvent[] = [];
  const tries: number[] = [];
  let arrived = Promise.withResolvers<void>();
  const outlet: ScriptedOutlet = {
    name,
    batch,
    got,
    tries,
    respond: () => undefined,
    deliver: async (events, signal) => {
      tries.push(events.length);
      await outlet.respond(events, signal);
      got.push(...events);
      arrived.resolve();
      arrived = Promise.withResolvers();
    },
    has: async (events) => {
      while (got.length < events) await arrived.promise;
    },
  };
  return outlet;
}
