/**
 * Syslog messages: RFC 5424 (https://www.rfc-editor.org/rfc/rfc5424).
 *
 *   <PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID [SD-ID name="value"] MSG
 *   <12>1 2026-11-27T01:40:38.000Z kvm-1 lazaret 417 2004 [lazaret@32473 uid="…"] {"class_uid":2004,…}
 *
 * PRI is facility × 8 + severity. MSGID is the event's OCSF class; MSG is the event as JSON. All of it is printable
 * ASCII, whatever the event holds (JSON has \u escapes), so that no receiver finds a line feed or an escape sequence in it
 * and none needs to know its encoding.
 */
import { hostname } from 'node:os';
import type { StoredEvent } from '../outbox/outlet.ts';

/** RFC 5424, table 1. */
export const FACILITIES = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;
export type Facility = keyof typeof FACILITIES;

const NOTICE = 5;
/** By OCSF's severity_id (Unknown, Informational, Low, Medium, High, Critical, Fatal): RFC 5424, table 2. */
const SEVERITIES: readonly number[] = [NOTICE, 6, NOTICE, 4, 3, 2, 1];

/**
 * The number that RFC 5612 keeps for examples: the project has none of its own from IANA. Whoever has one can put it
 * here.
 */
const EXAMPLE_ENTERPRISE = 32_473;

export interface SyslogHeader {
  readonly facility?: Facility;
  readonly appName?: string;
  readonly hostname?: string;
  readonly enterprise?: number;
}

/** A function that formats events with this header. */
export function syslogFormat(header: SyslogHeader): (event: StoredEvent) => string {
  const facility = FACILITIES[header.facility ?? 'daemon'];
  const host = field(header.hostname ?? hostname(), 255);
  const app = field(header.appName ?? 'lazaret', 48);
  const id = `lazaret@${header.enterprise ?? EXAMPLE_ENTERPRISE}`;
  return (event) => {
    const priority = facility * 8 + (SEVERITIES[event.severityId] ?? NOTICE);
    const time = new Date(event.time).toISOString();
    const data = `[${id} uid="${parameter(event.uid)}"]`;
    return `<${priority}>1 ${time} ${host} ${app} ${process.pid} ${event.classUid} ${data} ${ascii(event.json)}`;
  };
}

/** PRINTUSASCII of so many characters, or "-" for none. */
const field = (text: string, most: number): string => text.replace(/[^!-~]/g, '_').slice(0, most) || '-';

/** PARAM-VALUE: `"`, `\` and `]` are escaped; what is not ASCII has no place in an id. */
const parameter = (text: string): string => text.replace(/[^ -~]/g, '_').replace(/["\\\]]/g, '\\$&');

/** The same JSON in printable ASCII. Characters beyond it stand in JSON within strings alone. */
const ascii = (json: string): string =>
  json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
