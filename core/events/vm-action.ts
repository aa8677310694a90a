/**
 * Entity Management [3004]: https://schema.ocsf.io/1.6.0/classes/entity_management, for what was done to a VM as a
 * whole. OCSF has no class for the power of machines: here the VM is the entity, and Suspend, Resume, Activate and
 * Deactivate are activities of it.
 */
import { displayText } from '../../protocol/index.ts';
import type { Requester, VmAction, VmActionRecord } from '../store/records.ts';
import { type Enumerated, enumerated, eventOf, SEVERITY } from './envelope.ts';
import type { OcsfObject } from './objects.ts';
import type { OcsfEvent } from './sink.ts';

const CATEGORY: Enumerated = [3, 'Identity & Access Management'];
const CLASS: Enumerated = [3004, 'Entity Management'];
const CREATE: Enumerated = [1, 'Create'];
const UPDATE: Enumerated = [3, 'Update'];
const ACTIVATE: Enumerated = [10, 'Activate'];
const DEACTIVATE: Enumerated = [11, 'Deactivate'];
const ACTIVITIES: Readonly<Record<VmAction, Enumerated>> = {
  start: ACTIVATE,
  stop: DEACTIVATE,
  destroy: DEACTIVATE,
  pause: [12, 'Suspend'],
  resume: [13, 'Resume'],
  attach: UPDATE,
  detach: UPDATE,
  snapshot: CREATE,
  revert: UPDATE,
};
const STATUSES = {
  done: [1, 'Success'],
  failed: [2, 'Failure'],
  unknown: [0, 'Unknown'],
} as const satisfies Record<string, Enumerated>;
const VIRTUAL = 6;

/** TypeError when it has no outcome. */
export function vmActionEvent(record: VmActionRecord, name: string): OcsfEvent {
  const { id, vm, action, snapshot, requester, intentAt, outcome, outcomeAt } = record;
  if (!outcome || outcomeAt === undefined) throw new TypeError(`the action ${id} has no outcome yet`);
  const shownName = displayText(name);
  return eventOf(
    {
      category: CATEGORY,
      class: CLASS,
      activity: ACTIVITIES[action],
      severity: outcome.code === 'done' ? SEVERITY.informational : SEVERITY.medium,
      time: outcomeAt,
      profiles: ['host'],
      scan: requester.kind === 'policy' ? requester.scan : undefined,
      tags: { action, ...(snapshot !== undefined && { snapshot: displayText(snapshot) }) },
      message: `${action} ${shownName}: ${outcome.code}`,
    },
    {
      device: { uid: vm, name: shownName, type_id: VIRTUAL, type: 'Virtual', hypervisor: 'KVM' },
      entity: { uid: vm, name: shownName, type: 'virtual machine' },
      actor: actorOf(requester),
      comment: reasonOf(requester),
      start_time: intentAt,
      end_time: outcomeAt,
      ...enumerated('status', STATUSES[outcome.code]),
      status_code: outcome.code,
      ...(outcome.detail !== undefined && { status_detail: displayText(outcome.detail) }),
    },
  );
}

const actorOf = (requester: Requester): OcsfObject =>
  requester.kind === 'api' ? { user: { name: displayText(requester.name) } } : { app_name: 'Lazaret' };

const reasonOf = (requester: Requester): string =>
  requester.kind === 'api'
    ? `asked for by ${displayText(requester.name)} (${requester.role})`
    : `policy ${requester.rule}, after the scan ${requester.scan}`;
