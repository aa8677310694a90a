import { randomBytes, randomUUID } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { openChannel } from '../../core/channel/open.ts';
import { ECHO, echo, LIMITS, PREAMBLE_BYTES, ROUTES } from '../../protocol/index.ts';
import { FLAG, FRAME, frame } from './frames.ts';
import { fileRecords, ScriptedAgent } from './scripted-agent.ts';
import {
  admitAll,
  agentIdentity,
  codeOf,
  freshPath,
  hostIdentity,
  keysOf,
  logInTo,
  QUICK,
} from './setting.ts';

const keys = keysOf(agentIdentity);
const open = (path: string, deadlines = QUICK) => openChannel(path, hostIdentity, { deadlines });

describe('opening a channel', () => {
  it('tells the key that the agent holds', async () => {
    const path = freshPath();
    await using _agent = await ScriptedAgent.start(path, { keys });
    const channel = await open(path);
    expect(channel.agentKey).toBe(agentIdentity.keyId);
    await channel.close();
  });

  it('tells a socket that is not there from one that nobody answers', async () => {
    expect(await codeOf(open(freshPath()))).toBe('connect-failed');
    const path = freshPath();
    await using _deaf = await ScriptedAgent.start(path, { keys, bytes: (socket) => socket.resume() });
    expect(await codeOf(open(path, { ...QUICK, resync: 100 }))).toBe('no-agent');
  });

  it('gives up on a port that pours other bytes', async () => {
    const path = freshPath();
    await using _noise = await ScriptedAgent.start(path, { keys, bytes: pour });
    expect(await codeOf(open(path, { ...QUICK, resync: 20_000 }))).toBe('no-agent');
  });

  it.each([
    ['TLS 1.2', { tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } } as const],
    ['no HTTP/2', { tls: { alpn: ['http/1.1'] }, raw: () => undefined }],
  ])('refuses an agent with %s', async (_name, script) => {
    const path = freshPath();
    await using _agent = await ScriptedAgent.start(path, { keys, ...script });
    expect(await codeOf(open(path))).toBe('tls-failed');
  });

  it('finds the echo behind bytes of an earlier session, and beside echoes of other nonces', async () => {
    const path = freshPath();
    const stale = (nonce: Buffer) =>
      Buffer.concat([randomBytes(5000), echo(randomBytes(16)), ECHO, ECHO.subarray(0, 7), echo(nonce)]);
    await using _agent = await ScriptedAgent.start(path, { keys, echo: stale });
    await (await logInTo(path)).close();
  });

  it('waits for an agent that is slow and echoes every repetition, some of them late', async () => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys, slowBy: 5 });
    await (await logInTo(path)).close();
    expect(agent.sessions).toHaveLength(1);
  });

  it('fails on an agent that falls silent in the TLS handshake', async () => {
    const path = freshPath();
    const bytes = (socket: Socket) =>
      socket.once('data', (bytes: Buffer) => socket.write(echo(bytes.subarray(16, PREAMBLE_BYTES))));
    await using _agent = await ScriptedAgent.start(path, { keys, bytes });
    expect(await codeOf(open(path, { ...QUICK, tls: 100 }))).toBe('silent');
  });

  it('can be aborted at any point, with its own code', async () => {
    const path = freshPath();
    await using _deaf = await ScriptedAgent.start(path, { keys, bytes: (socket) => socket.resume() });
    const abort = new AbortController();
    const opening = openChannel(path, hostIdentity, { deadlines: QUICK, signal: abort.signal });
    abort.abort();
    expect(await codeOf(opening)).toBe('cancelled');
    expect(await codeOf(openChannel(path, hostIdentity, { signal: abort.signal }))).toBe('cancelled');
  });
});

describe('connecting again', () => {
  it('is a new session, and the old one is over', async () => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys });
    const first = await logInTo(path);
    agent.sessions[0]?.destroy();
    expect((await first.ended) as Error).toMatchObject({ code: 'session-lost' });
    expect(await codeOf(first.queryFeatures())).toBe('session-lost');
    const second = await logInTo(path);
    expect(second.id).not.toBe(first.id);
    expect((await second.queryFeatures()).profiles).toEqual(['er']);
    await second.close();
  });
});

describe('cancelling a request', () => {
  it('ends it in the guest and leaves the session alone', async () => {
    const path = freshPath();
    const begun = Promise.withResolvers<void>();
    const reset = Promise.withResolvers<number>();
    const routes = {
      [ROUTES.processes]: (stream: ServerHttp2Stream) => {
        stream.respond({ ':status': 200 });
        stream.on('close', () => reset.resolve(stream.rstCode));
        begun.resolve();
      },
    };
    await using _agent = await ScriptedAgent.start(path, { keys, routes });
    const session = await logInTo(path);
    const abort = new AbortController();
    const listing = session.listProcesses(abort.signal)[Symbol.asyncIterator]().next();
    await begun.promise;
    abort.abort();
    expect(await codeOf(listing)).toBe('cancelled');
    expect(await reset.promise).toBe(8);
    expect((await session.queryFeatures()).profiles).toEqual(['er']);
    await session.close();
  });

  it('leaves the session alone however much was on its way', async () => {
    const path = freshPath();
    const endless = (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200 });
      stream.write(fileRecords(0, Buffer.alloc(LIMITS.recordBytes)));
      const more = () => {
        while (!stream.destroyed && stream.write(Buffer.alloc(LIMITS.recordBytes)));
      };
      stream.on('drain', more);
      more();
    };
    await using _agent = await ScriptedAgent.start(path, { keys, routes: { [ROUTES.content]: endless } });
    const session = await logInTo(path);
    const files = [{ path: '/a' }, { path: '/b' }];
    for (let round = 0; round < 20; round++) {
      for await (const group of session.readContent({ files, maxFileBytes: 1 << 30 })) {
        expect(group.length).toBeGreaterThan(0);
        break;
      }
    }
    expect((await session.queryFeatures()).profiles).toEqual(['er']);
    await session.close();
  });

  it('happens when its reader stops early', async () => {
    const path = freshPath();
    await using _agent = await ScriptedAgent.start(path, { keys });
    const session = await logInTo(path);
    for await (const line of session.listProcesses()) {
      expect(line.type).toBe('process');
      break;
    }
    await session.close();
  });
});

describe('more requests at once than the contract allows', () => {
  it('wait for their turn', async () => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys });
    const session = await logInTo(path);
    const asked = Array.from({ length: LIMITS.concurrentRequests * 3 }, () => session.queryFeatures());
    expect(await Promise.all(asked)).toHaveLength(asked.length);
    expect(agent.requests).toHaveLength(asked.length + 1);
    await session.close();
  });
});

describe('a login that the host refuses', () => {
  it.each<[string, Buffer]>([
    ['noise', Buffer.alloc(1000, 0x5a)],
    ['a frame of wrong size', frame(FRAME.settings, 0, 0, Buffer.alloc(5))],
    ['an answer that is no HPACK', frame(FRAME.headers, FLAG.endHeaders, 1, Buffer.from([0xff, 0xff, 0xff]))],
  ])('since it comes as %s', async (_name, bytes) => {
    const path = freshPath();
    const raw = (tls: TLSSocket) => tls.resume().write(Buffer.concat([frame(FRAME.settings, 0, 0), bytes]));
    await using _agent = await ScriptedAgent.start(path, { keys, raw });
    const login = open(path).then((channel) => channel.login(admitAll));
    expect(await codeOf(login)).toBe('protocol-violation');
  });

  it('is answered with the reason, and the channel closed', async () => {
    const path = freshPath();
    const answered = Promise.withResolvers<unknown>();
    await using agent = await ScriptedAgent.start(path, { keys, login: { protocol: [99] } });
    agent.onAnswer = answered.resolve;
    const channel = await open(path);
    expect(await codeOf(channel.login(admitAll))).toBe('login-failed');
    expect(await answered.promise).toMatchObject({ type: 'refuse', code: 'unknown-protocol' });
  });

  it.each([
    ['is no login', { type: 'heartbeat' }, 'protocol-violation'],
    ['is malformed', { bootId: 'x' }, 'protocol-violation'],
    [
      'is over its limit',
      { agent: { id: randomUUID(), version: 'v'.repeat(2 ** 20) } },
      'protocol-violation',
    ],
  ])('since its first line %s', async (_name, login, code) => {
    const path = freshPath();
    await using _agent = await ScriptedAgent.start(path, { keys, login });
    const channel = await open(path);
    expect(await codeOf(channel.login(admitAll))).toBe(code);
  });

  it('when the agent refuses the host', async () => {
    const path = freshPath();
    const routes = {
      [ROUTES.login]: (stream: ServerHttp2Stream) => {
        stream.respond({ ':status': 403 });
        stream.end(JSON.stringify({ code: 'host-key-changed', message: 'another host was pinned' }));
      },
    };
    await using _agent = await ScriptedAgent.start(path, { keys, routes });
    const channel = await open(path);
    const error = await channel.login(admitAll).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'login-failed' });
    expect(error.message).toContain('host-key-changed');
    await channel.close();
  });
});

function pour(socket: Socket): void {
  const bytes = Buffer.alloc(1 << 20, 0x5a);
  const more = () => {
    while (socket.write(bytes));
  };
  socket.resume().on('drain', more);
  more();
}
