/** Events of no particular content. */
import type { StoredEvent } from '../../core/events/outbox/outlet.ts';
import type { OcsfEvent } from '../../core/events/sink.ts';

export const event = (uid: string, more: Readonly<Record<string, unknown>> = {}): OcsfEvent => ({
  class_uid: 2004,
  activity_id: 1,
  severity_id: 4,
  time: Date.UTC(2026, 10, 27),
  message: `message of ${uid}`,
  ...more,
  metadata: { version: '1.6.0', uid },
});

export const stored = (sequence: number, more: Readonly<Record<string, unknown>> = {}): StoredEvent => {
  const one = event(`uid-${sequence}`, more);
  return {
    sequence,
    uid: one.metadata.uid,
    classUid: one.class_uid,
    severityId: 4,
    time: one.time,
    acceptedAt: one.time,
    json: JSON.stringify(one),
  };
};

/** The uids of events that are one JSON text a line. */
export const uidsOf = (ndjson: string): string[] =>
  ndjson
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as OcsfEvent).metadata.uid);
