/** The API on a real unix socket, asked as any client would. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChannelError } from '../../channel/error.ts';
import { MemoryOperations, quarantined } from '../testing/operations.ts';
import { ask, askJson, askRaw, type Line, memoryLogger } from '../testing/requests.ts';
import type { LimitOptions } from './limits.ts';
import { type Api, startApi } from './server.ts';

let directory: string;
let socketPath: string;
let operations: MemoryOperations;
let api: Api;
let lines: Line[];

async function start(limits: LimitOptions = {}): Promise<void> {
  const log = memoryLogger();
  lines = log.lines;
  operations = new MemoryOperations();
  const unix = { path: socketPath, mode: 0o660 };
  api = await startApi(operations, { unix, limits, logger: log.logger, uploads: directory });
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'api-'));
  socketPath = join(directory, 'api.sock');
  await start();
});
afterEach(async () => {
  await api.close();
  await rm(directory, { recursive: true });
});

const get = (path: string, headers = {}) => ask({ socketPath }, { path, headers });
const post = (path: string, json: unknown) => askJson({ socketPath }, 'POST', path, json);
const errorOf = (json: unknown) => (json as { error: { code: string; message: string } }).error;

describe('what is asked rightly', () => {
  it.each([
    ['GET', '/livez', 200, { live: true }],
    ['GET', '/readyz', 200, { ready: true, reasons: [] }],
    ['GET', '/v1/vms', 200, { items: [{ name: 'web-1' }, { name: 'db-1', power: 'off' }] }],
    ['GET', '/v1/vms/web-1', 200, { name: 'web-1', connection: { state: 'connected' } }],
    ['GET', '/v1/findings', 200, { items: [{ id: 'finding-1' }], next: 'finding-1' }],
    ['GET', '/v1/findings?limit=5&before=finding-1', 200, { items: [] }],
    ['GET', '/v1/actions', 200, { items: [{ id: 'action-1' }] }],
    ['GET', '/v1/vm-actions', 200, { items: [{ id: 'vm-action-1', requester: { name: 'night-shift' } }] }],
    ['GET', '/v1/quarantine', 200, { items: [{ path: quarantined().path }] }],
    ['GET', '/v1/scans', 200, { items: [] }],
    ['GET', '/v1/packs', 200, { items: [{ vendor: 'acme' }] }],
    ['GET', '/v1/enrolments', 200, { items: [{ fingerprint: 'ab'.repeat(32) }] }],
    ['POST', '/v1/packs/acme/rules/rollback', 200, { active: { serial: 1 } }],
    ['POST', '/v1/enrolments/web-1/token', 200, { token: 'a-token' }],
    ['POST', '/v1/reload', 200, { vms: 2 }],
  ])('%s %s', async (method, path, status, part) => {
    const answer = await ask({ socketPath }, { method, path });
    expect(answer).toMatchObject({ status, json: part });
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
  });

  it.each([
    ['start', 'start web-1'],
    ['stop', 'stop web-1'],
    ['destroy', 'destroy web-1'],
    ['pause', 'pause web-1'],
    ['resume', 'resume web-1'],
    ['attach', 'attach web-1'],
    ['detach', 'detach web-1'],
  ])('%s a VM', async (verb, call) => {
    expect(await ask({ socketPath }, { method: 'POST', path: `/v1/vms/web-1/${verb}` })).toMatchObject({
      status: 200,
      json: { name: 'web-1' },
    });
    expect(operations.calls).toEqual([call]);
  });

  it('takes snapshots, patches and keys with a body', async () => {
    expect((await post('/v1/vms/web-1/snapshots', { name: 'before' })).status).toBe(200);
    expect((await post('/v1/vms/web-1/revert', { name: 'before' })).status).toBe(200);
    expect((await post('/v1/patches', { vm: 'web-1', bundle: 'x', dryRun: true })).json).toMatchObject({
      state: 'applicable',
    });
    expect((await post('/v1/enrolments/web-1/accept', { fingerprint: 'ab'.repeat(32) })).status).toBe(204);
    expect(operations.calls).toEqual([
      'snapshot web-1 before',
      'revert web-1 before',
      'patch web-1 1 dry',
      'accept web-1 abab',
    ]);
  });

  it('removes with an answer that is empty', async () => {
    for (const path of ['/v1/quarantine/held-1', '/v1/enrolments/web-1'])
      expect(await ask({ socketPath }, { method: 'DELETE', path })).toMatchObject({ status: 204, text: '' });
    expect(operations.calls).toEqual(['purge held-1', 'reset web-1']);
  });

  it('begins, shows and ends scans', async () => {
    const begun = await post('/v1/scans', { vm: 'web-1', mode: 'contain', roots: ['/srv', { b64: 'Lw==' }] });
    expect(begun).toMatchObject({ status: 202, json: { state: 'queued', mode: 'contain' } });
    expect((await get('/v1/scans/scan-1')).json).toMatchObject({ id: 'scan-1' });
    expect((await get('/v1/scans?state=queued')).json).toMatchObject({ items: [{ id: 'scan-1' }] });
    expect((await get('/v1/scans?state=failed')).json).toEqual({ items: [] });
    const cancelled = await ask({ socketPath }, { method: 'POST', path: '/v1/scans/scan-1/cancel' });
    expect(cancelled.status).toBe(202);
    expect(operations.calls.at(-1)).toBe('cancel scan-1');
  });

  it('says what is in the way when it is not ready', async () => {
    operations.ready = false;
    expect(await get('/readyz')).toMatchObject({ status: 503, json: { reasons: ['libvirt is not there'] } });
    expect((await get('/livez')).status).toBe(200);
  });

  it('gives figures as text', async () => {
    const { status, text, headers } = await get('/metrics');
    expect({ status, text }).toEqual({ status: 200, text: '# HELP lazaret_vms VMs\nlazaret_vms 2\n' });
    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  });

  it('leaves what a guest wrote as data', async () => {
    const { text, headers } = await get('/v1/vms/web-1');
    expect(text).not.toContain('\u001b');
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    expect(JSON.parse(text).system).toBe('Debian \u001b[31m</script> 12');
  });
});

describe('what is malformed', () => {
  it.each([
    ['GET', '/v1/vms/nobody', undefined, 404, 'unknown-vm'],
    ['GET', '/v1/vms/%2e%2e%2fetc', undefined, 404, 'unknown-vm'],
    ['GET', '/v1/vms/%ff', undefined, 400, 'bad-request'],
    ['GET', '/v1/scans/none', undefined, 404, 'unknown-scan'],
    ['GET', '/v1/scans/none/events', undefined, 404, 'unknown-scan'],
    ['DELETE', '/v1/quarantine/none', undefined, 404, 'unknown-file'],
    ['GET', '/', undefined, 404, 'no-such-route'],
    ['PATCH', '/v1/vms', undefined, 404, 'no-such-route'],
    ['HEAD', '/v1/vms/', undefined, 404, undefined],
    ['GET', '/v1/findings?limit=0', undefined, 400, 'bad-request'],
    ['GET', '/v1/findings?limit=501', undefined, 400, 'bad-request'],
    ['GET', '/v1/findings?limit=x', undefined, 400, 'bad-request'],
    ['GET', '/v1/findings?vm=a&vm=b', undefined, 400, 'bad-request'],
    ['GET', '/v1/findings?other=1', undefined, 400, 'bad-request'],
    ['GET', '/v1/scans?state=odd', undefined, 400, 'bad-request'],
    ['POST', '/v1/scans', '{}', 400, 'bad-request'],
    ['POST', '/v1/scans', '', 400, 'bad-request'],
    ['POST', '/v1/scans', '{', 400, 'bad-request'],
    ['POST', '/v1/scans', '[]', 400, 'bad-request'],
    ['POST', '/v1/scans', '{"vm":"web-1","extra":1}', 400, 'bad-request'],
    ['POST', '/v1/scans', '{"vm":"web-1","mode":"destroy"}', 400, 'bad-request'],
    ['POST', '/v1/scans', '{"vm":"web-1","roots":[]}', 400, 'bad-request'],
    ['POST', '/v1/scans', '{"vm":"web-1","roots":[{"b64":"*"}]}', 400, 'bad-request'],
    ['POST', '/v1/scans', '{"vm":"web-1","__proto__":{"mode":"delete"}}', 400, 'bad-request'],
    ['POST', '/v1/scans', '{"vm":"nobody"}', 404, 'unknown-vm'],
    ['POST', '/v1/vms/web-1/snapshots', '{"name":"../x"}', 400, 'bad-request'],
    ['POST', '/v1/enrolments/web-1/accept', '{"fingerprint":"AB"}', 400, 'bad-request'],
  ])('%s %s %s is refused', async (method, path, body, status, code) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await ask({ socketPath }, { method, path, headers, ...(body !== undefined && { body }) });
    expect(answer.status).toBe(status);
    if (code !== undefined) expect(errorOf(answer.json).code).toBe(code);
    expect(operations.calls).toEqual([]);
  });

  it.each([
    ['a name', 'GET', `/v1/vms/${'x'.repeat(257)}`, undefined],
    ['a name in a body', 'POST', '/v1/scans', `{"vm":"${'x'.repeat(1000)}"}`],
    ['nesting', 'POST', '/v1/scans', `${'['.repeat(10_000)}${']'.repeat(10_000)}`],
  ])('%s that is too long is refused', async (_what, method, path, body) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await ask({ socketPath }, { method, path, ...(body !== undefined && { headers, body }) });
    expect([answer.status, errorOf(answer.json).code]).toEqual([400, 'bad-request']);
    expect(operations.calls).toEqual([]);
  });

  it.each([
    ['POST', '/v1/enrolments/web-1/token', '{"lifetime":1e308}'],
    ['POST', '/v1/vms/web-1/stop', '{"force":true}'],
    ['POST', '/v1/reload', '[]'],
    ['POST', '/v1/quarantine/held-1/restore', '"elsewhere"'],
    ['DELETE', '/v1/quarantine/held-1', '0'],
  ])('%s %s hears nothing of the body %s, and says so', async (method, path, body) => {
    const send = (text: string) => {
      const headers = { 'content-type': 'application/json', 'content-length': `${text.length}` };
      return ask({ socketPath }, { method, path, headers, body: text });
    };
    const answer = await send(body);
    expect([answer.status, errorOf(answer.json).code]).toEqual([400, 'bad-request']);
    expect(operations.calls).toEqual([]);
    const empty = await send('{}');
    expect(empty.status).toBeLessThan(300);
  });

  it.each([
    '1e308',
    '1e999',
    'NaN',
    'Infinity',
    '-60000',
    '60000.5',
    '7776000001',
    '9007199254740993',
    '',
    'x',
  ])('a lifetime of %s is refused', async (lifetime) => {
    const path = `/v1/enrolments/web-1/token?lifetime=${lifetime}`;
    const answer = await ask({ socketPath }, { method: 'POST', path });
    expect([answer.status, errorOf(answer.json).code]).toEqual([400, 'bad-request']);
    expect(operations.calls).toEqual([]);
  });

  it('takes JSON as JSON alone', async () => {
    const body = '{"vm":"web-1"}';
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream']) {
      const headers = { 'content-type': type };
      const answer = await ask({ socketPath }, { method: 'POST', path: '/v1/scans', headers, body });
      expect([answer.status, errorOf(answer.json).code]).toEqual([415, 'unsupported-media-type']);
    }
  });

  it('is no page of a browser', async () => {
    const answer = await get('/v1/vms', { origin: 'https://example.org' });
    expect([answer.status, errorOf(answer.json).code]).toEqual([403, 'forbidden']);
  });

  it.each([
    ['nonsense', 'hello\r\n\r\n'],
    ['two lengths', 'POST /v1/scans HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'],
    [
      'a length and chunks',
      'POST /v1/scans HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}',
    ],
  ])('%s: is answered in the same shape, and the connection closed', async (_what, bytes) => {
    const text = await askRaw(socketPath, bytes);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(errorOf(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).code).toBe('bad-request');
    expect(operations.calls).toEqual([]);
  });
});

describe('what is too much', () => {
  it('a body', async () => {
    await api.close();
    await start({ bodyBytes: 1024 });
    const answer = await post('/v1/patches', { vm: 'web-1', bundle: 'x'.repeat(1024) });
    expect([answer.status, errorOf(answer.json).code]).toEqual([413, 'too-large']);
    expect((await post('/v1/patches', { vm: 'web-1', bundle: 'x'.repeat(900) })).status).toBe(200);
    expect(operations.calls).toEqual(['patch web-1 900']);
  });

  it('an address', async () => {
    const answer = await get(`/v1/vms?x=${'x'.repeat(2048)}`);
    expect([answer.status, errorOf(answer.json).code]).toEqual([413, 'too-large']);
  });

  it('headers', async () => {
    const answer = await get('/v1/vms', { 'x-long': 'x'.repeat(17 * 1024) });
    expect([answer.status, errorOf(answer.json).code]).toEqual([431, 'too-large']);
  });

  it('requests', async () => {
    await api.close();
    await start({ requestsPerSecond: 5 });
    const answers = await Promise.all(Array.from({ length: 60 }, () => get('/v1/vms')));
    const refused = answers.filter(({ status }) => status === 429);
    // Whatever the time that they took, a few windows at most were opened.
    expect(refused.length).toBeGreaterThan(0);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(5);
    expect(errorOf(refused[0]?.json).code).toBe('too-many-requests');
    expect(refused[0]?.headers['retry-after']).toBe('1');
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('a request that does not arrive is cut', async () => {
    await api.close();
    await start({ timeouts: { headers: 50 } });
    const text = await askRaw(socketPath, 'GET /v1/vms HTTP/1.1\r\nhost: x\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('connections: those over the limit are closed, those within are served', async () => {
    await api.close();
    await start({ connections: 2 });
    await post('/v1/scans', { vm: 'web-1' });
    const held = [0, 1].map(() => get('/v1/scans/scan-1/events'));
    await expect.poll(() => operations.followersOf('scan-1')).toBe(2);
    await expect(get('/v1/vms')).rejects.toThrow();
    operations.end('scan-1');
    await Promise.all(held);
    expect((await get('/v1/vms')).status).toBe(200);
  });
});

describe('errors', () => {
  it('of ours are told, with a status of their own', async () => {
    operations.failure = new ChannelError('silent', 'the guest is silent');
    expect(await get('/v1/vms/web-1')).toMatchObject({
      status: 502,
      json: { error: { code: 'silent', message: 'the guest is silent' } },
    });
  });

  it('that nobody foresaw are for the log alone', async () => {
    operations.failure = new Error('the secret is 42', { cause: new Error('deeper') });
    const { status, text, json } = await get('/v1/vms/web-1');
    expect([status, errorOf(json).code]).toEqual([500, 'internal']);
    expect(text).not.toMatch(/secret|stack|\.ts/);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 'warn', facts: { request: 'GET /v1/vms/web-1' } });
    expect(String(lines[0]?.facts.error)).toMatch(/the secret is 42[\s\S]*because: Error: deeper/);
  });
});

describe('the log', () => {
  it('has each request that changes something, and not those that read', async () => {
    await get('/v1/vms');
    await post('/v1/scans', { vm: 'web-1' });
    await ask({ socketPath }, { method: 'POST', path: '/v1/vms/%1b%5b31m/stop?x=secret' });
    expect(lines.map(({ facts }) => facts)).toEqual([
      { who: 'local', source: 'unix', request: 'POST /v1/scans', status: 202 },
      { who: 'local', source: 'unix', request: 'POST /v1/vms/%1b%5b31m/stop', status: 404 },
    ]);
  });
});

it('serves 50 clients at once, each what it asked for', async () => {
  const clients = Array.from({ length: 50 }, async (_, at) => {
    const vm = at % 2 === 0 ? 'web-1' : 'db-1';
    const [one, scan] = await Promise.all([get(`/v1/vms/${vm}`), post('/v1/scans', { vm })]);
    const { id } = scan.json as { id: string };
    const again = await get(`/v1/scans/${id}`);
    return [(one.json as { name: string }).name, (again.json as { vm: { name: string } }).vm.name, vm];
  });
  for (const [one, scanned, asked] of await Promise.all(clients)) {
    expect([one, scanned]).toEqual([asked, asked]);
  }
  expect(new Set(operations.calls).size).toBe(2);
});
