/** What every event has, whatever its class: https://schema.ocsf.io/1.6.0/base_event */
import { randomUUID } from 'node:crypto';
import { version } from '../version.ts';
import type { OcsfEvent } from './sink.ts';

/** A value of an OCSF enumeration: its number and its caption. */
export type Enumerated = readonly [id: number, caption: string];

export const SEVERITY = {
  informational: [1, 'Informational'],
  medium: [3, 'Medium'],
  high: [4, 'High'],
} as const satisfies Record<string, Enumerated>;

/** `action_id` and `disposition_id` of the profile `security_control`: what became of what was found. */
export const ACTION = {
  allowed: [1, 'Allowed'],
  denied: [2, 'Denied'],
  observed: [3, 'Observed'],
  modified: [4, 'Modified'],
} as const satisfies Record<string, Enumerated>;

export const DISPOSITION = {
  unknown: [0, 'Unknown'],
  blocked: [2, 'Blocked'],
  quarantined: [3, 'Quarantined'],
  deleted: [5, 'Deleted'],
  restored: [9, 'Restored'],
  corrected: [11, 'Corrected'],
  uncorrected: [13, 'Uncorrected'],
  detected: [15, 'Detected'],
} as const satisfies Record<string, Enumerated>;

export interface Envelope {
  readonly category: Enumerated;
  readonly class: Enumerated;
  readonly activity: Enumerated;
  readonly severity: Enumerated;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly profiles: readonly ('host' | 'security_control')[];
  /** The scan that this belongs to: what has it in common came of one scan. */
  readonly scan?: string | undefined;
  /** What OCSF has no attribute for. */
  readonly tags?: Readonly<Record<string, string>>;
  readonly message: string;
}

/** An attribute with its sibling: `status_id` and `status`. */
export const enumerated = (attribute: string, [id, caption]: Enumerated): Record<string, unknown> => ({
  [`${attribute}_id`]: id,
  [attribute]: caption,
});

/** Each call makes an event of its own: its `uid` is what receivers count it by, however often it reaches them. */
export function eventOf(envelope: Envelope, attributes: Readonly<Record<string, unknown>>): OcsfEvent {
  const { category, class: eventClass, activity, severity, time, profiles, scan, tags, message } = envelope;
  return {
    metadata: {
      version: '1.6.0',
      uid: randomUUID(),
      product: { name: 'Lazaret', vendor_name: 'Lazaret', uid: 'lazaret', version },
      profiles,
      ...(scan !== undefined && { correlation_uid: scan }),
      ...(tags && { tags: Object.entries(tags).map(([name, value]) => ({ name, value })) }),
    },
    category_uid: category[0],
    category_name: category[1],
    class_uid: eventClass[0],
    class_name: eventClass[1],
    activity_id: activity[0],
    activity_name: activity[1],
    type_uid: eventClass[0] * 100 + activity[0],
    type_name: `${eventClass[1]}: ${activity[1]}`,
    ...enumerated('severity', severity),
    time,
    message,
    ...attributes,
  };
}
