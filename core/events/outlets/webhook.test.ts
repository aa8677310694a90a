import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, makeAuthority } from '../../../test/events/authority.ts';
import { stored, uidsOf } from '../../../test/events/events.ts';
import { type Respond, webhookReceiver } from '../../../test/events/receivers.ts';
import { DeliveryError } from '../../error.ts';
import { type WebhookOptions, webhookOutlet } from './webhook.ts';

let directory: string;
let authority: Authority;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-webhook-'));
  authority = await makeAuthority(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

const NOW = Date.UTC(2026, 10, 27);
const NEVER = new AbortController().signal;
const EVENTS = [stored(1), stored(2, { message: 'zwei\nΩ' }), stored(3)];
const receiver = (respond?: Respond, options?: { clientCertificate: boolean }) =>
  webhookReceiver(authority, respond, options);
const deliver = (
  { url }: { url: string },
  options: Partial<WebhookOptions> = {},
  events = EVENTS,
  signal = NEVER,
) => webhookOutlet({ url, ca: authority.ca, ...options }, () => NOW).deliver(events, signal);
const failure = (...given: Parameters<typeof deliver>): Promise<unknown> =>
  deliver(...given).then(
    () => 'it was delivered',
    (error: unknown) => error,
  );
const secretFile = (value: string) => {
  const file = join(directory, `secret-${Math.random()}`);
  writeFileSync(file, `${value}\n`);
  return { file };
};

describe('a request', () => {
  test('carries events one a line', async () => {
    await using web = await receiver();
    await deliver(web);
    expect(web.requests).toHaveLength(1);
    const [request] = web.requests;
    expect(request?.headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      'user-agent': expect.stringMatching(/^lazaret\//),
    });
    expect(request?.path).toBe('/events');
    expect(uidsOf(String(request?.body))).toEqual(['uid-1', 'uid-2', 'uid-3']);
    expect(request?.headers.authorization).toBeUndefined();
  });

  test('carries an array, compressed, where that is configured', async () => {
    await using web = await receiver();
    await deliver(web, { format: 'json', gzip: true });
    const [request] = web.requests;
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    });
    expect(JSON.parse(String(gunzipSync(request?.body ?? '')))).toEqual(
      EVENTS.map(({ json }) => JSON.parse(json)),
    );
  });

  test('carries the token as its file has it at that moment', async () => {
    await using web = await receiver();
    const token = secretFile('first');
    const outlet = webhookOutlet({ url: web.url, ca: authority.ca, token });
    await outlet.deliver(EVENTS, NEVER);
    writeFileSync(token.file, 'second');
    await outlet.deliver(EVENTS, NEVER);
    expect(web.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer first',
      'Bearer second',
    ]);
  });

  test.each([
    ['plain text', Buffer.from('plain text')],
    [`whsec_${Buffer.from([0, 1, 2, 255]).toString('base64')}`, Buffer.from([0, 1, 2, 255])],
  ])('is signed over what is sent: %s', async (secret, key) => {
    await using web = await receiver();
    await deliver(web, { secret: secretFile(secret), gzip: true });
    const [request] = web.requests;
    const id = request?.headers['webhook-id'];
    expect(request?.headers['webhook-timestamp']).toBe(String(NOW / 1000));
    const signed = Buffer.concat([Buffer.from(`${id}.${NOW / 1000}.`), request?.body ?? Buffer.of()]);
    const signature = createHmac('sha256', key).update(signed).digest('base64');
    expect(request?.headers['webhook-signature']).toBe(`v1,${signature}`);
  });

  test('has an id that stays with its events', async () => {
    await using web = await receiver();
    for (const events of [EVENTS, EVENTS, EVENTS.slice(1)]) await deliver(web, {}, events);
    const [first, second, third] = web.requests.map(({ headers }) => headers['webhook-id']);
    expect(first).toMatch(/^evt_[0-9a-f]{32}$/);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  test('shows our certificate to who asks for it', async () => {
    await using web = await receiver(undefined, { clientCertificate: true });
    await deliver(web, { ...authority.client });
    expect(await failure(web)).toMatchObject({ code: 'unreachable' });
    expect(web.requests).toHaveLength(1);
  });
});

describe('an answer', () => {
  test.each([200, 201, 202, 204, 299])('%d means that they are there', async (status) => {
    await using web = await receiver((_, response) => response.writeHead(status).end());
    await deliver(web);
    expect(web.requests).toHaveLength(1);
  });

  test.each([
    [408, 'busy'],
    [429, 'busy'],
    [500, 'busy'],
    [503, 'busy'],
    [401, 'not-admitted'],
    [403, 'not-admitted'],
    [404, 'not-admitted'],
    [400, 'refused'],
    [413, 'refused'],
    [422, 'refused'],
  ])('%d means %s', async (status, code) => {
    await using web = await receiver((_, response) => response.writeHead(status).end('a\u001b[2Jreason'));
    const error = await failure(web);
    expect(error).toBeInstanceOf(DeliveryError);
    expect(error).toMatchObject({
      code,
      message: expect.stringContaining(`answered ${status}: a\\x1b[2Jreason`),
    });
  });

  test.each([
    ['7', 7_000],
    [new Date(NOW + 90_000).toUTCString(), 90_000],
    [new Date(NOW - 90_000).toUTCString(), 0],
    ['soon', 0],
    ['-5', 0],
  ])('with Retry-After %s asks to wait', async (value, retryAfter) => {
    await using web = await receiver((_, response) =>
      response.writeHead(429, { 'retry-after': value }).end(),
    );
    expect(await failure(web)).toMatchObject({ code: 'busy', retryAfter });
  });

  test.each([301, 302, 307, 308])('%d leads nowhere: no redirect is followed', async (status) => {
    await using other = await receiver();
    await using web = await receiver((_, response) =>
      response.writeHead(status, { location: other.url }).end(),
    );
    expect(await failure(web, { token: secretFile('secret') })).toMatchObject({ code: 'not-admitted' });
    expect(other.requests).toEqual([]);
    expect(web.requests).toHaveLength(1);
  });

  test('that never ends is read to a bound', async () => {
    await using web = await receiver((_, response) => {
      response.writeHead(500);
      const more = () => {
        while (response.write('x'.repeat(10_000)));
        response.once('drain', more);
      };
      response.on('error', () => undefined);
      more();
    });
    const error = await failure(web);
    expect(error).toMatchObject({ code: 'busy' });
    expect((error as Error).message.length).toBeLessThan(400);
  });

  test.each<[string, Respond]>([
    ['does not come in time', () => undefined],
    ['is cut off', (_, response) => void response.writeHead(200).write('x', () => response.destroy())],
    ['is none', (_, response) => void response.socket?.end('nonsense\r\n\r\n')],
  ])('that %s is none', async (_, respond) => {
    await using web = await receiver(respond);
    expect(await failure(web, { timeout: 300 })).toMatchObject({ code: 'unreachable' });
  });
});

test('nothing is sent to a receiver that the authority does not know', async () => {
  await using web = await receiver();
  const error = await webhookOutlet({ url: web.url })
    .deliver(EVENTS, NEVER)
    .catch((error: unknown) => error);
  expect(error).toMatchObject({ code: 'unreachable', message: expect.stringContaining('certificate') });
  expect(web.requests).toEqual([]);
});

test('an abort ends a request', async () => {
  const abort = new AbortController();
  await using web = await receiver(() => abort.abort());
  expect(await failure(web, {}, EVENTS, abort.signal)).toMatchObject({ code: 'unreachable' });
});

test.each(['http://host/x', 'ftp://x', 'nonsense', '', 'https://user:password@host/'])(
  '%j is refused',
  (url) => {
    const make = () => webhookOutlet({ url });
    expect(make).toThrow(expect.objectContaining({ code: 'bad-options' }));
    expect(make).not.toThrow(/password@/);
  },
);

test('a token that is not there, or cannot stand in a header, is said without its value', async () => {
  await using web = await receiver();
  const missing = { file: join(directory, 'missing') };
  expect(await failure(web, { token: missing })).toMatchObject({
    code: 'bad-options',
    message: expect.stringContaining(missing.file),
  });
  const error = await failure(web, { token: secretFile('hunter2\nx: y') });
  expect(error).toMatchObject({ code: 'bad-options' });
  expect(String(error)).not.toContain('hunter2');
  expect(web.requests).toEqual([]);
});
