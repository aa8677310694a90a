/** When VMs are scanned, and what a scan may take from them. */
import { Cron } from 'croner';
import { z } from 'zod';
import { LIMITS } from '../../protocol/index.ts';
import { bytes, duration } from './quantity.ts';
import { flag, list, mapping, oneOf, text, wholeNumber } from './values.ts';

/** How expressions are read, here and where they are followed: a daily run is neither lost nor doubled when clocks are changed. */
export const CRON_OPTIONS = { mode: '5-part', fixedTimeRule: 'no-wildcard' } as const;

const cron = () => {
  const error = 'a cron expression that comes due some day, such as "30 3 * * *"';
  return z.string({ error }).refine(comesDue, { error });
};

function comesDue(expression: string): boolean {
  try {
    return new Cron(expression, { ...CRON_OPTIONS, paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}

const timezone = () => {
  const error = 'a time zone such as Europe/Berlin';
  return z.string({ error }).refine(isTimezone, { error });
};

function isTimezone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone.length > 0;
  } catch {
    return false;
  }
}

const timeOfDay = () => text(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day from "00:00" to "23:59"');

const blackout = mapping({
  from: timeOfDay().describe('When it begins, in the time zone of the schedule.'),
  to: timeOfDay().describe('When it ends; not later than it begins: on the next day.'),
  days: list(oneOf(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
    .min(1, { error: 'at least one day' })
    .optional()
    .describe('The days on which it begins. Default: all.'),
});

export const schedule = mapping({
  cron: cron().optional().describe('When each VM is scanned, as cron has it. Default: by no clock.'),
  timezone: timezone().default('UTC').describe('The time zone of cron and blackout.'),
  jitter: duration()
    .prefault('30min')
    .describe('Each VM is scanned so much later at most, always by the same: not all at once.'),
  blackout: list(blackout).default([]).describe('When no scan begins by itself.'),
  onFirstSight: flag().default(true).describe('Scan a VM that was never scanned as soon as it answers.'),
  onConnect: flag()
    .default(false)
    .describe('Scan a VM whenever its agent connects anew: at each start of it.'),
  onNewPack: flag().default(true).describe('Scan again when a new pack of signatures is in use.'),
});

export const budget = mapping({
  cpuPercent: wholeNumber(100, LIMITS.leastCpuPercent)
    .optional()
    .describe("Of one of the guest's cores, so much for the agent at most. Default: no bound."),
  readBytesPerSecond: bytes({ leastMib: LIMITS.leastReadBytesPerSecond / 2 ** 20 })
    .optional()
    .describe('What the agent reads from disk at most, 1MiB at least. Default: no bound.'),
});
