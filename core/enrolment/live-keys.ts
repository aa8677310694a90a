/**
 * Which agents are connected at the moment, by key and by id. A key is made in one guest and never leaves it: when it
 * answers under two domains at once, one of them is a clone of the other, and which one cannot be told. A command
 * meant for one could be carried out in the other. So nothing is done to either until each was enrolled again with a
 * key of its own; both are looked at all the same.
 */
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import type { EnrolmentStore } from '../store/enrolments.ts';
import type { VmStore } from '../store/vms.ts';

/** What a session shows of who is behind it. */
export interface LiveSession {
  /** The domain's id and name. */
  readonly vm: string;
  readonly name: string;
  /** SHA-256 of the agent's public key, lower-case hex. */
  readonly agentKey: string;
  readonly agentId: string;
}

export interface LiveKeysParts {
  readonly vms: VmStore;
  readonly enrolments: EnrolmentStore;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly logger: Pick<Logger, 'warn'>;
}

export class LiveKeys {
  private readonly parts: LiveKeysParts;
  private readonly live = new Set<LiveSession>();

  constructor(parts: LiveKeysParts) {
    this.parts = parts;
  }

  /**
   * To be called when a session was accepted and before anything is done in it; what it returns is disposed of when
   * the session is over. When the key or the id is live under another domain, both are suspended, durably, before
   * this returns. Throws StoreError.
   */
  enter(session: LiveSession): Disposable {
    // A copy: one session that enters twice leaves twice.
    const entry = { ...session };
    for (const other of this.live) if (isClone(entry, other)) this.suspendBoth(entry, other);
    this.live.add(entry);
    return { [Symbol.dispose]: () => void this.live.delete(entry) };
  }

  private suspendBoth(one: LiveSession, other: LiveSession): void {
    this.suspend(one, other);
    this.suspend(other, one);
  }

  private suspend({ vm, name, agentKey }: LiveSession, twin: LiveSession): void {
    const { vms, enrolments, clock, logger } = this.parts;
    const known = vms.find(vm);
    if (!known || known.suspended) return;
    const at = clock();
    const reason =
      `its agent and that of ${displayText(twin.name)} (${twin.vm}) have the same ` +
      `${agentKey === twin.agentKey ? 'key' : 'id'} and were connected at once: one is a clone of the other`;
    enrolments.change((log) => {
      vms.suspend(vm, { at, reason });
      log({ id: vm, event: 'suspended', at, agentKey, detail: reason });
    });
    logger.warn(`${displayText(name)} is suspended, nothing is done to it: ${reason}`, { vm });
  }
}

const isClone = (one: LiveSession, other: LiveSession): boolean =>
  one.vm !== other.vm && (one.agentKey === other.agentKey || one.agentId === other.agentId);
