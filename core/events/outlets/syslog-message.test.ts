import { describe, expect, test } from 'vitest';
import { stored } from '../../../test/events/events.ts';
import { syslogFormat } from './syslog-message.ts';

const format = (header = {}) => syslogFormat({ hostname: 'kvm-1', ...header });
/** The ABNF of RFC 5424, section 6, as far as it is used. */
const MESSAGE =
  /^<(?<pri>\d{1,3})>1 (?<time>\S+) (?<host>[!-~]{1,255}) (?<app>[!-~]{1,48}) (?<pid>[!-~]{1,128}) (?<id>[!-~]{1,32}) \[(?<sd>[!-~]{1,32}) uid="(?<uid>(?:[^"\\\]]|\\["\\\]])*)"\] (?<msg>[ -~]*)$/;
const partsOf = (message: string) => MESSAGE.exec(message)?.groups;

test('a message has the header, the id and the event', () => {
  const event = stored(7);
  expect(partsOf(format()(event))).toMatchObject({
    pri: '27',
    time: '2026-11-27T00:00:00.000Z',
    host: 'kvm-1',
    app: 'lazaret',
    pid: String(process.pid),
    id: '2004',
    sd: 'lazaret@32473',
    uid: 'uid-7',
    msg: event.json,
  });
});

test.each([
  ['daemon', 1, 30],
  ['daemon', 3, 28],
  ['local0', 4, 131],
  ['local7', 5, 186],
  ['kern', 6, 1],
  ['auth', 0, 37],
  ['auth', 99, 37],
] as const)('%s with the OCSF severity %d is priority %d', (facility, severityId, priority) => {
  expect(format({ facility })({ ...stored(1), severityId })).toMatch(new RegExp(`^<${priority}>1 `));
});

test('names that do not fit into a field are made to', () => {
  const message = format({ hostname: 'häst name\n', appName: 'x'.repeat(99), enterprise: 1 })(stored(1));
  expect(partsOf(message)).toMatchObject({ host: 'h_st_name_', app: 'x'.repeat(48), sd: 'lazaret@1' });
  expect(partsOf(format({ hostname: '', appName: '' })(stored(1)))).toMatchObject({ host: '-', app: '-' });
});

describe('whatever an event holds', () => {
  const hostile = [
    'a\nb\r<0>1 forged',
    '\u001b[2J\u009b\u202e\u2028\u2029',
    '"]\\ [x y="z"]',
    'naïve 漢字 🐟',
    '\ud800 lone',
    '\u0000\u007f',
  ];
  test.each(hostile)('a message is one line of printable ASCII, and the JSON the same: %j', (text) => {
    const event = stored(1, { message: text });
    const message = format()({ ...event, uid: text });
    const parts = partsOf(message);
    expect(message).toMatch(/^[ -~]*$/);
    expect(JSON.parse(parts?.msg ?? '')).toEqual(JSON.parse(event.json));
    const uid = parts?.uid?.replace(/\\(["\\\]])/g, '$1');
    expect(uid).toBe(text.replace(/[^ -~]/g, '_'));
  });
});
