/** What a guest can say wrongly at HTTP level and above: a coded error, that session's end, nothing else. */
import { createHash, randomUUID } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import type { GuestSession } from '../../core/channel/session.ts';
import {
  encodeFeatures,
  encodeLine,
  encodeOutcome,
  encodeRecord,
  RECORD,
  ROUTES,
  type SealedInstruction,
} from '../../protocol/index.ts';
import {
  bodyOf,
  entry,
  FEATURES,
  factsOf,
  fileRecords,
  type Handler,
  respond,
  ScriptedAgent,
  sendLines,
} from './scripted-agent.ts';
import { agentIdentity, codeOf, collect, freshPath, keysOf, logInTo } from './setting.ts';

const keys = keysOf(agentIdentity);
const INVENTORY = {
  ...{ roots: ['/'], excludes: [], oneFileSystem: true },
  ...{ maxEntries: 1000, maxDepth: 64, maxSeconds: 60 },
};
const CONTENT = { files: [{ path: '/a' }, { path: '/b' }], maxFileBytes: 100 };

/** Runs `ask` against an agent whose route answers so; tells the codes of the request and of the session. */
async function outcomeOf(
  route: string,
  handler: Handler,
  ask: (session: GuestSession) => Promise<unknown>,
): Promise<{ request: string; stillWorks: boolean }> {
  const path = freshPath();
  await using _agent = await ScriptedAgent.start(path, { keys, routes: { [route]: handler } });
  const session = await logInTo(path);
  const request = await codeOf(ask(session));
  const stillWorks = (await codeOf(collect(session.listProcesses()))) === 'no error';
  await session.close();
  return { request, stillWorks };
}

const VIOLATION = { request: 'protocol-violation', stillWorks: false };
const listFiles = (session: GuestSession) => collect(session.listFiles(INVENTORY));
const readContent = (session: GuestSession) => collect(session.readContent(CONTENT));
const query = (session: GuestSession) => session.queryFeatures();
const body =
  (bytes: string | Uint8Array, status = 200): Handler =>
  (stream) => {
    stream.respond({ ':status': status });
    stream.end(bytes);
  };
const END = { type: 'end', files: 0, directories: 0, bytes: 0 };
const directory = (...files: unknown[]) => ({ type: 'directory', path: '/d', dev: '1', files });

const withLinks = (...links: unknown[]) => ({ ...directory(), access: [0o040755, 0, 0], links });
const LINKS = Array.from({ length: 512 }, (_, at) => [`l${at}`, '/x']);

describe('a listing', () => {
  it.each<[string, unknown[]]>([
    ['with an unknown type', [{ type: 'surprise' }, END]],
    ['with a path that is not absolute', [{ type: 'directory', path: 'd', dev: '1', files: [] }, END]],
    ['with a path that climbs', [{ type: 'directory', path: '/a/../b', dev: '1', files: [] }, END]],
    ['with NUL in a path', [{ type: 'directory', path: '/a\0', dev: '1', files: [] }, END]],
    ['with too many files in a line', [directory(...Array.from({ length: 513 }, () => entry('a', 1))), END]],
    ['with too many links in a line', [withLinks(...Array.from({ length: 513 }, () => ['l', '/x'])), END]],
    ['with more links than entries', [...Array.from({ length: 100 }, () => withLinks(...LINKS)), END]],
    ['that goes on after its end', [END, directory()]],
    ['that ends twice', [END, END]],
    ['with a line that nobody spoke of', [{ type: 'known', digests: ['0'.repeat(32)] }, END]],
    ['that goes on after its page', [{ type: 'more', walk: randomUUID() }, directory()]],
  ])('%s breaks the protocol', async (_name, lines) => {
    expect(await outcomeOf(ROUTES.files, (stream) => sendLines(stream, lines), listFiles)).toEqual(VIOLATION);
  });

  it.each<[string, string | Uint8Array]>([
    ['that is not JSON', 'nonsense\n'],
    ['that is not UTF-8', Buffer.from([0x22, 0xff, 0x22, 0x0a])],
    ['that nests deep', `${'['.repeat(100_000)}\n`],
    ['that holds NaN', '{"type":"end","files":NaN,"directories":0,"bytes":0}\n'],
    ['that would set a prototype', '{"__proto__":{"type":"end","files":0,"directories":0,"bytes":0}}\n'],
    ['that stops within a line', '{"type":"end"'],
    ['with a line over the limit', `"${'a'.repeat(2 ** 20)}"\n`],
  ])('%s breaks the protocol', async (_name, bytes) => {
    expect(await outcomeOf(ROUTES.files, body(bytes), listFiles)).toEqual(VIOLATION);
  });

  it.each<[string, unknown]>([
    ['without a name', ['', '/x']],
    ['that climbs', ['..', '/x']],
    ['that says nothing', ['bad', '']],
    ['that says more than a path', ['bad', `/${'x'.repeat(4096)}`]],
    ['that is no text', ['bad', '\ud800']],
    ['that is none', 7],
  ])('with a link %s loses that link alone, and is trusted as it was', async (_name, link) => {
    let lines: readonly unknown[] = [];
    const ask = async (session: GuestSession) => {
      lines = await Array.fromAsync(session.listFiles(INVENTORY));
    };
    const told = { ...withLinks(['good', '/x'], link), files: [entry('a', 1)] };
    const handler: Handler = (stream) => sendLines(stream, [told, END]);
    expect(await outcomeOf(ROUTES.files, handler, ask)).toEqual({ request: 'no error', stillWorks: true });
    expect(lines).toMatchObject([
      { ...told, links: [['good', '/x']], misfits: 1 },
      { type: 'fault', path: expect.stringMatching(/^\/d(\/bad)?$/) },
      END,
    ]);
  });

  it('without its end is a lost session', async () => {
    const handler: Handler = (stream) => sendLines(stream, [directory(entry('a', 1))]);
    const lost = { request: 'session-lost', stillWorks: false };
    expect(await outcomeOf(ROUTES.files, handler, listFiles)).toEqual(lost);
  });

  it('that the agent breaks off is refused, and the session goes on', async () => {
    const handler: Handler = (stream) => {
      stream.respond({ ':status': 200 });
      stream.write(encodeLine(directory(entry('a', 1))), () => stream.destroy(new Error('broken')));
    };
    const refused = { request: 'refused', stillWorks: true };
    expect(await outcomeOf(ROUTES.files, handler, listFiles)).toEqual(refused);
  });

  const roots =
    (...lines: unknown[]): Handler =>
    (stream) =>
      sendLines(stream, [...lines, END]);
  const asked = { ...INVENTORY, roots: ['/bin/'], followRoots: true };
  const root = (path: string, target: string) => ({ type: 'root', path, target });

  it('may tell once where a root that was asked for leads', async () => {
    const list = (session: GuestSession) => collect(session.listFiles(asked));
    const told = await outcomeOf(ROUTES.files, roots(root('/bin', '/usr/bin')), list);
    expect(told).toEqual({ request: 'no error', stillWorks: true });
  });

  it.each([
    ['of a root that was not asked for', asked, [root('/tmp', '/usr')]],
    ['of one twice', asked, [root('/bin', '/a'), root('/bin', '/b')]],
    ['of one that leads out', asked, [root('/bin', '/../x')]],
    ['where nobody wanted to know', INVENTORY, [root('/', '/usr')]],
  ])('that tells %s breaks the protocol', async (_name, request, lines) => {
    const list = (session: GuestSession) => collect(session.listFiles(request));
    expect(await outcomeOf(ROUTES.files, roots(...lines), list)).toEqual(VIOLATION);
  });

  it('comes page by page, with known lines by their digests', async () => {
    const walk = randomUUID();
    const line = directory(entry('a', 1));
    const digest = createHash('sha256').update(JSON.stringify(line)).digest('hex').slice(0, 32);
    const bodies: Buffer[] = [];
    const handler: Handler = (stream, { ':path': path }) =>
      void bodyOf(stream).then((received) => {
        bodies.push(received);
        if (path === ROUTES.files) sendLines(stream, [line, { type: 'more', walk }]);
        else sendLines(stream, [{ type: 'known', digests: [digest] }, END]);
      });
    let lines: readonly unknown[] = [];
    const ask = async (session: GuestSession) => {
      const known = { digests: [digest], has: (one: string) => one === digest };
      lines = await Array.fromAsync(session.listFiles(INVENTORY, undefined, known));
    };
    expect(await outcomeOf(ROUTES.files, handler, ask)).toEqual({ request: 'no error', stillWorks: true });
    expect(lines).toEqual([{ ...line, digest }, { type: 'known', digests: [digest] }, END]);
    const request = encodeLine(INVENTORY);
    expect(bodies).toEqual([Buffer.concat([request, Buffer.from(digest, 'hex')]), Buffer.alloc(0)]);
  });

  it('in endless pages with next to nothing breaks the protocol', async () => {
    const handler: Handler = (stream) => sendLines(stream, [{ type: 'more', walk: randomUUID() }]);
    expect(await outcomeOf(ROUTES.files, handler, listFiles)).toEqual(VIOLATION);
  });

  it('that is given up between two pages is ended in the guest', async () => {
    const walk = randomUUID();
    const stop = new AbortController();
    const dropped = Promise.withResolvers<string | undefined>();
    const handler: Handler = (stream, { ':path': path, ':method': method }) => {
      if (method !== 'DELETE') return sendLines(stream, [directory(entry('a', 1)), { type: 'more', walk }]);
      dropped.resolve(path);
      return respond(stream, 204);
    };
    const ask = async (session: GuestSession) => {
      for await (const _ of session.listFiles(INVENTORY, stop.signal)) {
        // The page has come as a whole: what follows is the next one.
        await new Promise((resolve) => setImmediate(resolve));
        stop.abort();
      }
    };
    const path = freshPath();
    await using _agent = await ScriptedAgent.start(path, { keys, routes: { [ROUTES.files]: handler } });
    const session = await logInTo(path);
    expect(await codeOf(ask(session))).toBe('cancelled');
    expect(await dropped.promise).toBe(`${ROUTES.walk}${walk}`);
    await session.close();
  });

  it('is taken as it is cut: byte by byte, and all lines at once', async () => {
    const bytes = Buffer.concat([directory(entry('a\n\x1b[2J\u202e', 1)), END].map(encodeLine));
    const handler: Handler = (stream) => void byteByByte(stream, bytes);
    expect(await outcomeOf(ROUTES.files, handler, listFiles)).toEqual({
      request: 'no error',
      stillWorks: true,
    });
    expect((await outcomeOf(ROUTES.files, body(bytes), listFiles)).request).toBe('no error');
  });
});

async function byteByByte(stream: ServerHttp2Stream, bytes: Buffer): Promise<void> {
  stream.respond({ ':status': 200 });
  for (let at = 0; at < bytes.length; at++) {
    await new Promise((resolve) => stream.write(bytes.subarray(at, at + 1), resolve));
  }
  stream.end();
}

describe('content', () => {
  const open = (index: number, size: number) =>
    encodeRecord(RECORD.open, index, Buffer.from(JSON.stringify(factsOf(size))));
  const data = (index: number, size: number) => encodeRecord(RECORD.data, index, Buffer.alloc(size));
  const end = (index: number) => encodeRecord(RECORD.end, index);
  const fail = (index: number, reason: string) =>
    encodeRecord(RECORD.fail, index, Buffer.from(JSON.stringify({ reason })));
  const [first, second] = [fileRecords(0, Buffer.from('a')), fileRecords(1, Buffer.from('b'))];

  it.each<[string, Buffer[]]>([
    ['in order', [first, second]],
    ['with files that could not be read', [fail(0, 'vanished'), open(1, 50), data(1, 10), fail(1, 'shrank')]],
    ['of empty files', [open(0, 0), end(0), open(1, 0), end(1)]],
  ])('%s is taken', async (_name, records) => {
    const handler = body(Buffer.concat(records));
    expect(await outcomeOf(ROUTES.content, handler, readContent)).toEqual({
      request: 'no error',
      stillWorks: true,
    });
  });

  it.each<[string, Buffer[]]>([
    ['out of order', [second, first]],
    ['of a file twice', [first, first, second]],
    ['of a file that was not asked for', [first, second, fileRecords(2, Buffer.from('c'))]],
    ['without the last file', [first]],
    ['with DATA before OPEN', [data(0, 1), end(0), second]],
    ['with OPEN of an open file', [open(0, 1), open(0, 1), end(0), second]],
    ['with END of a closed file', [first, end(0), second]],
    ['with more bytes than the size', [open(0, 3), data(0, 4), end(0), second]],
    ['with more bytes than were asked for', [open(0, 1000), data(0, 101), end(0), second]],
    ['with a payload in END', [open(0, 1), encodeRecord(RECORD.end, 0, Buffer.from('x')), second]],
    ['with an unknown kind', [Buffer.concat([Buffer.from([9]), Buffer.alloc(8)])]],
    ['with an unknown reason', [fail(0, 'mood'), second]],
    ['cut within a record', [first, second.subarray(0, -3)]],
  ])('%s breaks the protocol', async (_name, records) => {
    expect(await outcomeOf(ROUTES.content, body(Buffer.concat(records)), readContent)).toEqual(VIOLATION);
  });
});

describe('digests that a guest claims', () => {
  const claim = (session: GuestSession) => collect(session.claimDigests(CONTENT));
  const digest = (index: number) => ({
    type: 'digest',
    index,
    facts: factsOf(1),
    sha256: createHash('sha256').update(String(index)).digest('hex'),
  });
  const failure = (index: number) => ({ type: 'failure', index, failure: { reason: 'vanished' } });
  const [working, end] = [{ type: 'working' }, { type: 'end' }];

  it('are taken in order, with signs of life between them', async () => {
    const handler: Handler = (stream) => sendLines(stream, [working, digest(0), working, failure(1), end]);
    expect(await outcomeOf(ROUTES.digests, handler, claim)).toEqual({
      request: 'no error',
      stillWorks: true,
    });
  });

  it.each<[string, unknown[]]>([
    ['out of order', [digest(1), digest(0), end]],
    ['twice', [digest(0), digest(0), digest(1), end]],
    ['of a file too few', [digest(0), end]],
    ['of a file too many', [digest(0), digest(1), digest(2), end]],
    ['that are none', [{ ...digest(0), sha256: 'abc' }, digest(1), end]],
  ])('%s break the protocol', async (_name, lines) => {
    expect(await outcomeOf(ROUTES.digests, (stream) => sendLines(stream, lines), claim)).toEqual(VIOLATION);
  });

  it('of a file too many are never handed on', async () => {
    const lines = [digest(0), digest(1), digest(2), end];
    const seen: number[] = [];
    const ask = async (session: GuestSession) => {
      for await (const { index } of session.claimDigests(CONTENT)) seen.push(index);
    };
    expect(await outcomeOf(ROUTES.digests, (stream) => sendLines(stream, lines), ask)).toEqual(VIOLATION);
    expect(seen).not.toContain(2);
  });
});

describe('a command', () => {
  const requestId = (bytes: Buffer): string => JSON.parse(String(bytes)).headers.request_id;
  const answer =
    (make: (id: string) => unknown): Handler =>
    (stream) =>
      void bodyOf(stream).then((bytes) => respond(stream, 200, make(requestId(bytes))));

  it('answered for another request breaks the protocol', async () => {
    const handler = answer(() => encodeFeatures(randomUUID(), FEATURES));
    expect(await outcomeOf(ROUTES.openc2, handler, query)).toEqual(VIOLATION);
  });

  it('answered with another message breaks the protocol', async () => {
    const handler = answer((id) => encodeOutcome(id, { code: 'done' }));
    expect(await outcomeOf(ROUTES.openc2, handler, query)).toEqual(VIOLATION);
  });

  it('answered with nothing breaks the protocol', async () => {
    expect(await outcomeOf(ROUTES.openc2, body(''), query)).toEqual(VIOLATION);
  });

  const sealed: SealedInstruction = {
    ...{ id: randomUUID(), epoch: 1, expires: 1 },
    instruction: {
      name: 'contain:file',
      target: { path: '/x', dev: '1', ino: '2', sha256: '0'.repeat(64) },
    },
  };
  const STATE = { mode: 0o644, uid: 0, gid: 0, atime: '1.000000000', mtime: '1.000000000', xattrs: [] };
  const told = (status: number, results: unknown): Handler =>
    answer((id) => ({ headers: { request_id: id }, body: { openc2: { response: { status, results } } } }));
  const outcome = (value: unknown, status = 200) => told(status, { 'x-lazaret': value });

  it.each<[string, Handler]>([
    ['done with the status of a failure', outcome({ code: 'done', state: STATE }, 500)],
    ['failed with the status of success', outcome({ code: 'failed' }, 200)],
    ['contained without how the file was', outcome({ code: 'done' })],
    ['with a time that is none', outcome({ code: 'done', state: { ...STATE, atime: '1' } })],
    ['with a code that does not exist', outcome({ code: 'unknown' })],
    ['with no outcome', told(200, {})],
    ['with no results', told(200, null)],
  ])('%s cannot be read, and the session goes on', async (_name, handler) => {
    expect(await outcomeOf(ROUTES.openc2, handler, (session) => session.send(sealed))).toEqual({
      request: 'unreadable-outcome',
      stillWorks: true,
    });
  });

  it('done as it should be is taken, with the widest times', async () => {
    const state = { ...STATE, atime: '1000000000000.000000000', mtime: '-9223372036854775808.000000000' };
    const handler = outcome({ code: 'done', state });
    expect(await outcomeOf(ROUTES.openc2, handler, (session) => session.send(sealed))).toEqual({
      request: 'no error',
      stillWorks: true,
    });
  });

  it.each<[string, Handler]>([
    ['by HTTP', body(JSON.stringify({ headers: {}, body: {} }), 500)],
    ['in no message', answer(() => ({ body: {} }))],
  ])('failed %s breaks the protocol', async (_name, handler) => {
    expect(await outcomeOf(ROUTES.openc2, handler, (session) => session.send(sealed))).toEqual(VIOLATION);
  });

  it('query features with another status than 200 breaks the protocol', async () => {
    const handler = told(500, FEATURES);
    expect(await outcomeOf(ROUTES.openc2, handler, query)).toEqual(VIOLATION);
  });

  it('that the agent refuses tells its code and shows its text harmlessly', async () => {
    const path = freshPath();
    const refuse: Handler = (stream) => respond(stream, 403, { code: 'not-granted', message: 'no\x1b[2J' });
    await using _agent = await ScriptedAgent.start(path, { keys, routes: { [ROUTES.openc2]: refuse } });
    const session = await logInTo(path);
    const error = await session.queryFeatures().catch((reason) => reason);
    expect(error).toMatchObject({ code: 'refused' });
    expect(error.message).toContain('not-granted');
    expect(error.message).toContain('\\x1b');
    await session.close();
  });

  it('refused with what is no refusal breaks the protocol', async () => {
    expect(await outcomeOf(ROUTES.openc2, body('go away', 500), query)).toEqual(VIOLATION);
  });
});

describe('staging', () => {
  it('stops when the agent refuses, and the session goes on', async () => {
    const handler: Handler = (stream) => respond(stream, 413, { code: 'too-large', message: 'no room' });
    const endless = async function* () {
      for (;;) yield Buffer.alloc(65_536);
    };
    const stage = (session: GuestSession) => session.stage('0'.repeat(64), endless());
    const refused = { request: 'refused', stillWorks: true };
    expect(await outcomeOf(ROUTES.staged, handler, stage)).toEqual(refused);
  });
});
