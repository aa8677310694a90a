/** Who may do what, over real TLS. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Certificate, selfSigned } from '../testing/certificates.ts';
import { MemoryOperations } from '../testing/operations.ts';
import { type Answer, ask, type Line, memoryLogger } from '../testing/requests.ts';
import { ACCESS, mayUse, ROLES, type Role, type RouteKey } from './access.ts';
import { byTokenOrCertificate } from './authenticate.ts';
import { JSON_ROUTES } from './routes.ts';
import { type Api, startApi, type TcpOptions } from './server.ts';

const TOKENS: Readonly<Record<Role, string>> = {
  viewer: 'v'.repeat(40),
  operator: 'o'.repeat(40),
  admin: 'a'.repeat(40),
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const codeOf = ({ json }: Answer) => (json as { error?: { code: string } } | undefined)?.error?.code;

let directory: string;
let server: Certificate;
let known: Certificate;
let stranger: Certificate;
let expired: Certificate;
let api: Api;
let port: number;
let lines: Line[];
let operations: MemoryOperations;

const tcpOptions = (more: Partial<TcpOptions> = {}): TcpOptions => ({
  ...{ host: '127.0.0.1', port: 0, tls: { cert: server.cert, key: server.key } },
  tokens: [
    { name: 'grafana', role: 'viewer', secret: TOKENS.viewer },
    { name: 'night-shift', role: 'operator', secret: TOKENS.operator },
    // By its digest alone.
    { name: 'root', role: 'admin', sha256: createHash('sha256').update(TOKENS.admin).digest('hex') },
  ],
  certificates: [
    { name: 'console', role: 'operator', fingerprint: known.fingerprint },
    { name: 'old', role: 'admin', fingerprint: expired.fingerprint.replaceAll(':', '').toLowerCase() },
  ],
  ...more,
});

async function start(options: TcpOptions): Promise<void> {
  const log = memoryLogger();
  lines = log.lines;
  operations = new MemoryOperations();
  api = await startApi(operations, { tcp: options, logger: log.logger, uploads: directory });
  port = Number(api.addresses[0]?.split(':').at(-1));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'api-'));
  [server, known, stranger, expired] = await Promise.all([
    selfSigned('server'),
    selfSigned('console'),
    selfSigned('stranger'),
    selfSigned('old', new Date(Date.now() - 1000)),
  ]);
  await start(tcpOptions());
});
afterAll(async () => {
  await api.close();
  await rm(directory, { recursive: true });
});
beforeEach(() => {
  lines.length = 0;
});

/** A request that its route would answer, or refuse for what it lacks, if who asks may. */
function request(key: RouteKey, headers: Record<string, string>, client?: Certificate): Promise<Answer> {
  const [method = '', url = ''] = key.split(' ');
  const path = url.replace(':vm', 'web-1').replace(/:\w+/g, 'none');
  const certificate = client ? { cert: client.cert, key: client.key } : {};
  return ask({ port, ca: server.cert, ...certificate }, { method, path, headers });
}

const KEYS = Object.keys(ACCESS) as RouteKey[];

describe('the table', () => {
  it('has each route once, and no other', () => {
    const special = ['GET /livez', 'GET /readyz', 'GET /metrics', 'GET /v1/openapi.json'];
    const served = [
      ...JSON_ROUTES.map(({ key }) => key),
      ...special,
      'POST /v1/packs',
      'GET /v1/scans/:id/events',
    ];
    expect(served.toSorted()).toEqual(KEYS.toSorted());
  });

  it('lets each role do what those before it may', () => {
    expect(ROLES.map((role) => ROLES.map((needed) => mayUse(role, needed)))).toEqual([
      [true, false, false],
      [true, true, false],
      [true, true, true],
    ]);
  });

  it.each(KEYS)('%s is for whom it says', async (key) => {
    for (const role of ROLES) {
      const answer = await request(key, bearer(TOKENS[role]));
      if (mayUse(role, ACCESS[key])) expect([401, 403]).not.toContain(answer.status);
      else expect([answer.status, codeOf(answer)]).toEqual([403, 'forbidden']);
    }
    const nobody = await request(key, {});
    if (ACCESS[key] === 'anyone') expect(nobody.status).toBe(200);
    else expect([nobody.status, codeOf(nobody)]).toEqual([401, 'unauthenticated']);
  });
});

describe('a token', () => {
  it.each([
    ['is not known', bearer('x'.repeat(40))],
    ['is one short', bearer('a'.repeat(39))],
    ['is one longer', bearer('a'.repeat(41))],
    ['is the digest of one', bearer(createHash('sha256').update(TOKENS.admin).digest('hex'))],
    ['is empty', { authorization: 'Bearer ' }],
    ['is of another scheme', { authorization: `Basic ${TOKENS.admin}` }],
    ['is without a scheme', { authorization: TOKENS.admin }],
    ['is very long', bearer('a'.repeat(10_000))],
  ])('that %s is refused, in the same words as none', async (_what, headers) => {
    const answer = await request('GET /v1/vms', headers);
    expect([answer.status, codeOf(answer)]).toEqual([401, 'unauthenticated']);
    expect(answer.text).toBe((await request('GET /v1/vms', {})).text);
  });

  it('that is guessed is refused, however often', () => {
    const authenticate = byTokenOrCertificate(tcpOptions().tokens, [], { ofAuthority: false });
    const tryOut = (token: string) =>
      authenticate({ headers: bearer(token), socket: undefined } as unknown as IncomingMessage);
    // So many that parts of their digests are those of the right ones.
    for (let guess = 0; guess < 5000; guess++) expect(tryOut(`guess-${guess}`)).toBeUndefined();
    expect(tryOut(TOKENS.admin)).toEqual({ name: 'root', role: 'admin' });
    expect(tryOut(TOKENS.viewer)).toEqual({ name: 'grafana', role: 'viewer' });
  });

  it('in the address is none', async () => {
    const path = `/v1/vms?access_token=${TOKENS.admin}`;
    expect((await ask({ port, ca: server.cert }, { path })).status).toBe(401);
  });

  it('is not asked for what there is not, without one', async () => {
    expect((await ask({ port, ca: server.cert }, { path: '/nothing' })).status).toBe(401);
    const path = '/nothing';
    expect((await ask({ port, ca: server.cert }, { path, headers: bearer(TOKENS.viewer) })).status).toBe(404);
  });
});

describe('a client certificate', () => {
  it('that is configured has its role', async () => {
    expect((await request('POST /v1/vms/:vm/start', {}, known)).status).toBe(200);
    expect((await request('POST /v1/vms/:vm/destroy', {}, known)).status).toBe(403);
    expect(operations.calls).toEqual(expect.arrayContaining(['start web-1']));
  });

  it.each([
    ['a stranger', () => stranger],
    ['one that has expired', () => expired],
  ])('of %s is refused', async (_what, certificate) => {
    expect((await request('GET /v1/vms', {}, certificate())).status).toBe(401);
  });

  it('does not cover for a wrong token', async () => {
    expect((await request('GET /v1/vms', bearer('x'.repeat(40)), known)).status).toBe(401);
  });

  it('must be of the authority where one is configured', async () => {
    await api.close();
    try {
      await start(tcpOptions({ tls: { cert: server.cert, key: server.key, clientCa: stranger.cert } }));
      expect((await request('GET /v1/vms', {}, known)).status).toBe(401);
      // Of that authority, and not configured.
      expect((await request('GET /v1/vms', {}, stranger)).status).toBe(401);
      expect((await request('GET /v1/vms', bearer(TOKENS.viewer))).status).toBe(200);
      await api.close();
      await start(tcpOptions({ tls: { cert: server.cert, key: server.key, clientCa: known.cert } }));
      expect((await request('GET /v1/vms', {}, known)).status).toBe(200);
    } finally {
      await api.close();
      await start(tcpOptions());
    }
  });
});

describe('the log', () => {
  beforeEach(async () => {
    await api.close();
    await start(tcpOptions());
  });

  it('tells of each source and kind of refusal once, and never a token', async () => {
    for (let times = 0; times < 5; times++) {
      await request('GET /v1/vms', bearer('guess'.repeat(8)));
      await request('POST /v1/reload', bearer(TOKENS.viewer));
    }
    expect(lines.map(({ level, facts }) => [level, facts])).toEqual([
      ['warn', { who: 'nobody', source: '127.0.0.1', request: 'GET /v1/vms', code: 'unauthenticated' }],
      ['warn', { who: 'grafana', source: '127.0.0.1', request: 'POST /v1/reload', code: 'forbidden' }],
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/guess|vvvv/);
  });

  it('says who did what', async () => {
    await request('POST /v1/vms/:vm/pause', bearer(TOKENS.operator));
    expect(operations.askedBy).toEqual([{ name: 'night-shift', role: 'operator' }]);
    expect(lines).toEqual([
      {
        ...{ level: 'info', message: 'api request' },
        facts: { who: 'night-shift', source: '127.0.0.1', request: 'POST /v1/vms/web-1/pause', status: 200 },
      },
    ]);
  });
});

describe('what is not served', () => {
  const refused = (tcp: TcpOptions) => startApi(operations, { tcp, logger: memoryLogger().logger });

  it.each([
    ['without TLS', () => tcpOptions({ tls: undefined as never }), 'bad-options', 'with TLS only'],
    [
      'without a key',
      () => tcpOptions({ tls: { cert: server.cert, key: '' } }),
      'bad-options',
      'with TLS only',
    ],
    [
      'with a key of another certificate',
      () => tcpOptions({ tls: { cert: server.cert, key: known.key } }),
      'bad-options',
      'cannot be served',
    ],
    ['for nobody', () => tcpOptions({ tokens: [], certificates: [] }), 'bad-options', 'nobody'],
    [
      'with a short token',
      () => tcpOptions({ tokens: [{ name: 't', role: 'viewer', secret: 'x'.repeat(31) }] }),
      'bad-options',
      'the token t is shorter',
    ],
    [
      'with a digest that is none',
      () => tcpOptions({ tokens: [{ name: 't', role: 'viewer', sha256: 'abc' }] }),
      'bad-options',
      'the token t is no SHA-256',
    ],
    [
      'with a fingerprint that is none',
      () => tcpOptions({ certificates: [{ name: 'c', role: 'viewer', fingerprint: 'AA:BB' }] }),
      'bad-options',
      'the fingerprint of c',
    ],
    ['where another listens', () => tcpOptions({ port }), 'cannot-listen', 'EADDRINUSE'],
  ])('%s', async (_what, options, code, words) => {
    await expect(refused(options())).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
  });

  it('plain HTTP, nor TLS below 1.3', async () => {
    const { connect } = await import('node:tls');
    const plain = fetch(`http://127.0.0.1:${port}/livez`);
    await expect(plain).rejects.toThrow();
    const old = new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', ca: server.cert, maxVersion: 'TLSv1.2' }, () =>
        resolve('in'),
      );
      socket.on('error', reject);
    });
    await expect(old).rejects.toThrow(/alert|version/i);
  });
});
