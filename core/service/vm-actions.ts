/**
 * How VMs are acted upon, always and only here: the intent is written down, the hypervisor is told, the outcome is
 * written down and told. An intent that a crash left open is closed by what is seen of its VM, and never done again:
 * whoever asked for it asks again, and a VM that was paused long ago may be somebody's to resume.
 */
import { randomUUID } from 'node:crypto';
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { describeError, StoreError } from '../error.ts';
import { vmActionEvent } from '../events/ocsf.ts';
import type { EventSink } from '../events/sink.ts';
import { HypervisorError } from '../hypervisor/error.ts';
import type { HostDomain } from '../hypervisor/port.ts';
import type { Requester, VmAction, VmActionOutcome, VmActionRecord } from '../store/records.ts';
import type { VmActionJournal } from '../store/vm-action-journal.ts';
import type { GuestControl } from './guests.ts';
import type { VmName } from './views.ts';
import { powerOf } from './vm-views.ts';

export interface VmActionsParts {
  readonly journal: Pick<VmActionJournal, 'intent' | 'outcome' | 'open'>;
  readonly events: EventSink;
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export type VmActionOrder = { readonly vm: VmName; readonly requester: Requester } & (
  | { readonly action: Exclude<VmAction, 'snapshot' | 'revert'> }
  | { readonly action: 'snapshot' | 'revert'; readonly snapshot: string }
);

/** How a VM is after what was done; after `stop` its guest decides. */
export const POWER_AFTER = {
  start: 'running',
  destroy: 'off',
  pause: 'paused',
  resume: 'running',
} as const satisfies Partial<Record<VmAction, string>>;

/** Errors that leave open whether it happened. */
const UNANSWERED: ReadonlySet<string> = new Set(['hypervisor-timeout', 'closed', 'connection-failed']);

export class VmActions {
  private readonly parts: VmActionsParts;
  /** Intents of this process, of which the outcome is still to come. */
  private readonly underWay = new Set<string>();

  constructor(parts: VmActionsParts) {
    this.parts = parts;
  }

  /** Rejects with HypervisorError; with StoreError where it cannot be written down first, and then nothing was done. */
  async perform(order: VmActionOrder, control: GuestControl): Promise<void> {
    const { vm, action, requester } = order;
    const intent = {
      ...{ id: randomUUID(), vm: vm.id, action, requester, intentAt: this.parts.clock() },
      ...('snapshot' in order && { snapshot: order.snapshot }),
    };
    this.underWay.add(intent.id);
    try {
      this.parts.journal.intent(intent);
      await this.carryOut(order, control).then(
        () => this.close(intent, vm.name, { code: 'done' }),
        async (error: unknown) => {
          await this.close(intent, vm.name, outcomeOf(error));
          throw error;
        },
      );
    } finally {
      this.underWay.delete(intent.id);
    }
  }

  /** Closes what an earlier process left open, by what is seen of the VM now. Does not reject. */
  async reconcile(
    { id, name, state }: Pick<HostDomain, 'id' | 'name' | 'state'>,
    control?: GuestControl,
  ): Promise<void> {
    if (state === 'unknown') return;
    let left: readonly VmActionRecord[] = [];
    try {
      left = this.parts.journal.open(id).filter((intent) => !this.underWay.has(intent.id));
      for (const intent of left) this.underWay.add(intent.id);
      for (const intent of left) await this.close(intent, name, await seen(intent, state, control));
    } catch (error) {
      const { code, message } = describeError(error);
      this.parts.logger.warn(
        `what was left open of ${displayText(name)} cannot be closed: ${displayText(message)}`,
        { vm: id, code },
      );
    } finally {
      for (const intent of left) this.underWay.delete(intent.id);
    }
  }

  private async carryOut(order: VmActionOrder, control: GuestControl): Promise<void> {
    const { id } = order.vm;
    if ('snapshot' in order) await control[order.action](id, order.snapshot);
    else await control[order.action](id);
  }

  /** What was done is done: that it cannot be written down or told does not undo it. Closed at the next start then. */
  private async close(
    intent: Pick<VmActionRecord, 'id' | 'vm'>,
    name: string,
    outcome: VmActionOutcome,
  ): Promise<void> {
    const { journal, events, logger, clock } = this.parts;
    try {
      const closed = journal.outcome(intent.id, outcome, clock());
      await events.emit(vmActionEvent(closed, name));
    } catch (error) {
      const { code, message } = describeError(error);
      const what = error instanceof StoreError ? 'written down' : 'told as an event';
      const facts = { vm: intent.vm, action: intent.id, code };
      logger.warn(
        `the outcome of an action upon ${displayText(name)} cannot be ${what}: ${displayText(message)}`,
        facts,
      );
    }
  }
}

function outcomeOf(error: unknown): VmActionOutcome {
  const { message: detail } = describeError(error);
  const isUnanswered = error instanceof HypervisorError && UNANSWERED.has(error.code);
  return { code: isUnanswered ? 'unknown' : 'failed', detail };
}

const CUT_OFF = 'the service ended before its outcome was written down';

async function seen(
  { action, snapshot, vm }: VmActionRecord,
  state: HostDomain['state'],
  control: GuestControl | undefined,
): Promise<VmActionOutcome> {
  const now = powerOf({ state });
  const isPower = Object.hasOwn(POWER_AFTER, action);
  if (isPower) {
    const isSo = POWER_AFTER[action as keyof typeof POWER_AFTER] === now;
    return { code: isSo ? 'done' : 'unknown', detail: `${CUT_OFF}; the VM is ${now} now` };
  }
  if (action === 'snapshot' && control) {
    const isThere = (await control.snapshots(vm)).some(({ name }) => name === snapshot);
    const what = isThere ? 'there is a snapshot of that name' : 'there is no snapshot of that name';
    return { code: isThere ? 'done' : 'unknown', detail: `${CUT_OFF}; ${what} now` };
  }
  return { code: 'unknown', detail: `${CUT_OFF}; whether it was done cannot be seen. The VM is ${now} now` };
}
