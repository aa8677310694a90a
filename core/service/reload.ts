/** What a changed configuration means for what runs. */
import type { Settings, VmSettings } from '../config/index.ts';

/** What is opened once, when the service starts. */
const AT_START = ['state', 'spool', 'scan', 'packs', 'pluginDirectories'] as const;

/** The keys that count from the next start on only. */
export function needsRestart(before: Settings, now: Settings): string[] {
  const keys: string[] = AT_START.filter((key) => differ(before[key], now[key]));
  if (differ(before.policy.knownContent, now.policy.knownContent)) keys.push('policy.knownContent');
  return keys;
}

/** Whether a guest was granted something else, or is waited for otherwise. */
export const grantDiffers = (before: VmSettings, now: VmSettings): boolean =>
  differ(
    [before.policy.allow, before.policy.neverTouch, before.policy.deadlines, before.budget],
    [now.policy.allow, now.policy.neverTouch, now.policy.deadlines, now.budget],
  );

const differ = (one: unknown, other: unknown): boolean => JSON.stringify(one) !== JSON.stringify(other);
