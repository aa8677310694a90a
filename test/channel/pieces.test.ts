/** What comes of the pieces of files that an agent sends, and of one that does not send what was asked for. */
import type { ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import type { GuestSession } from '../../core/channel/session.ts';
import { encodeLine, ROUTES } from '../../protocol/index.ts';
import { type Handler, ScriptedAgent } from './scripted-agent.ts';
import { agentIdentity, codeOf, collect, freshPath, keysOf, logInTo } from './setting.ts';

const REQUEST = {
  files: [
    { path: '/a', pieces: [[0, 4] as [number, number], [8, 4] as [number, number]] },
    { path: '/b', pieces: [[0, 4] as [number, number]] },
  ],
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const A = { type: 'pieces', index: 0, data: [base64('head'), ''] };
const B = { type: 'failure', index: 1, failure: { reason: 'vanished' } };
const END = { type: 'end' };

const sending =
  (...lines: unknown[]): Handler =>
  (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
    stream.end(Buffer.concat(lines.map((line) => encodeLine(line))));
  };

async function session(handler: Handler): Promise<AsyncDisposable & { readonly session: GuestSession }> {
  const path = freshPath();
  const agent = await ScriptedAgent.start(path, {
    keys: keysOf(agentIdentity),
    routes: { [ROUTES.pieces]: handler },
  });
  return { session: await logInTo(path), [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
}

describe('pieces of files', () => {
  it('come in the order of the request', async () => {
    await using guest = await session(sending(A, B, END));
    expect(await collect(guest.session.readPieces(REQUEST))).toEqual([A, B]);
    await guest.session.close();
  });

  it.each([
    ['out of turn', [B, A, END]],
    ['twice', [A, A, END]],
    ['of a file too many', [A, B, { ...B, index: 2 }, END]],
    ['that are missing', [A, END]],
    ['fewer than asked for', [{ ...A, data: [''] }, B, END]],
    ['more than asked for', [{ ...A, data: ['', '', ''] }, B, END]],
    ['longer than asked for', [{ ...A, data: [base64('longer'), ''] }, B, END]],
    ['that are no base64', [{ ...A, data: ['*', ''] }, B, END]],
    ['without an index', [{ ...A, index: undefined }, B, END]],
  ])('%s end the session', async (_, lines) => {
    await using guest = await session(sending(...lines));
    expect(await codeOf(collect(guest.session.readPieces(REQUEST)))).toBe('protocol-violation');
    expect(await guest.session.ended).toMatchObject({ code: 'protocol-violation' });
  });

  it('that an agent does not know of are refused, and the session goes on', async () => {
    const refuse: Handler = (stream) => {
      stream.respond({ ':status': 404, 'content-type': 'application/json' });
      stream.end(encodeLine({ code: 'no-such-route', message: 'there is no such route' }));
    };
    await using guest = await session(refuse);
    expect(await codeOf(collect(guest.session.readPieces(REQUEST)))).toBe('refused');
    expect(await codeOf(collect(guest.session.listProcesses()))).toBe('no error');
    await guest.session.close();
  });
});
