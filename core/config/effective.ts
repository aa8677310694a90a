/** What holds for one VM: the settings for all, with those of its group laid over them. */

import { laidOver } from './overlay.ts';
import { matchesPattern } from './pattern.ts';
import type { Settings } from './schema.ts';

export type Policy = Settings['policy'];
export type Schedule = Settings['schedule'];
export type Budget = Settings['budget'];

export interface VmSettings {
  /** The group that it belongs to; undefined when it is in none. */
  readonly group: string | undefined;
  readonly policy: Policy;
  readonly schedule: Schedule;
  readonly budget: Budget;
}

/** As the hypervisor names it. */
export interface NamedVm {
  readonly id: string;
  readonly name: string;
}

type Everything = Pick<Settings, 'groups' | 'policy' | 'schedule' | 'budget'>;

/** Of several groups that match it, the first one counts. */
export function settingsFor({ groups, policy, schedule, budget }: Everything, vm: NamedVm): VmSettings {
  const group = groups.find(({ match }) => matches(match, vm));
  if (group === undefined) return { group: undefined, policy, schedule, budget };
  return {
    group: group.name,
    policy: laidOver(policy, group.policy),
    schedule: laidOver(schedule, group.schedule),
    budget: laidOver(budget, group.budget),
  };
}

/** Whether one of the patterns or the UUIDs is meant. Libvirt's UUIDs are lower-case, as the configuration's are. */
export const matches = (
  { names, uuids }: { readonly names: readonly string[]; readonly uuids: readonly string[] },
  { id, name }: NamedVm,
): boolean => uuids.includes(id) || names.some((pattern) => matchesPattern(name, pattern));
