import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeLine, ROUTES } from '../../protocol/index.ts';
import { type Attack, CONTENT_ATTACKS, FRAME_ATTACKS, LIST_ATTACKS, PROCESS_ATTACKS } from './attacks.ts';
import type { FloodOrder, FloodReport } from './flood.child.ts';
import { HEARTBEAT, loginLine, ScriptedAgent } from './scripted-agent.ts';
import { agentIdentity, codeOf, freshPath, keysOf, logInTo, QUICK } from './setting.ts';

const keys = keysOf(agentIdentity);
const MiB = 1024 * 1024;

/** Frames that Node answers by ending the request alone; that they go on then ends the session. */
const ENDS_REQUEST_FIRST = ['floods RST_STREAM', 'floods HEADERS'];

describe('a hostile agent beside a healthy one', () => {
  let host: ChildProcess;
  let healthy: ScriptedAgent;
  const healthyPath = freshPath('healthy.sock');
  const state = freshPath('state');
  const exited = new AbortController();

  beforeAll(async () => {
    healthy = await ScriptedAgent.start(healthyPath, { keys });
    // A small young generation: what it grows to is V8's choice and not what is measured.
    const execArgv = ['--expose-gc', '--max-semi-space-size=2'];
    host = fork(new URL('./flood.child.ts', import.meta.url), { execArgv });
    host.once('exit', () => exited.abort(new Error('the host process ended')));
  });
  afterAll(async () => {
    host.kill();
    await healthy[Symbol.asyncDispose]();
  });

  async function suffer(attack: Attack, ask: FloodOrder['ask']): Promise<FloodReport> {
    const hostile = freshPath('hostile.sock');
    await using _agent = await ScriptedAgent.start(hostile, { keys, ...attack });
    host.send({ state, healthy: healthyPath, hostile, ask } satisfies FloodOrder);
    const [report] = (await once(host, 'message', { signal: exited.signal })) as [FloodReport];
    return report;
  }

  const attacks: [string, Attack, FloodOrder['ask']][] = [
    ...Object.entries({ ...FRAME_ATTACKS, ...LIST_ATTACKS }).map(
      ([name, attack]): [string, Attack, 'files'] => [name, attack, 'files'],
    ),
    ...Object.entries(CONTENT_ATTACKS).map(([name, attack]): [string, Attack, 'content'] => [
      name,
      attack,
      'content',
    ]),
  ];

  it.each(attacks)('%s', async (name, attack, ask) => {
    const { request, session, growth, rounds } = await suffer(attack, ask);
    expect(session).toBe('protocol-violation');
    expect(request).toBe(ENDS_REQUEST_FIRST.includes(name) ? 'refused' : 'protocol-violation');
    expect(rounds).toBeGreaterThan(0);
    expect(growth).toBeLessThanOrEqual(16 * MiB);
  });

  it.each(Object.entries(PROCESS_ATTACKS))('%s', async (_, attack) => {
    const { request, session, growth, held, rounds, unscanned } = await suffer(attack, 'processes');
    expect([request, session]).toEqual(['no error', 'undefined']);
    expect(unscanned.at(-1)).toMatchObject({ path: 'all other processes', reason: 'engine-limit' });
    expect(rounds).toBeGreaterThan(0);
    expect(held).toBeLessThanOrEqual(16 * MiB);
    // V8 gives pages back when it likes: what a batch takes comes and goes.
    expect(growth).toBeLessThanOrEqual(96 * MiB);
  });
});

describe('a silent agent', () => {
  const deadlines = { ...QUICK, streamIdle: 100, command: 100, heartbeat: 10_000 };
  const INVENTORY = {
    ...{ roots: ['/'], excludes: [], oneFileSystem: true },
    ...{ maxEntries: 100_000, maxDepth: 64, maxSeconds: 60 },
  };

  it('that never answers is silent, and its session over', async () => {
    const path = freshPath();
    const never = () => undefined;
    const routes = { [ROUTES.files]: never, [ROUTES.openc2]: never, [ROUTES.grant]: never };
    await using _agent = await ScriptedAgent.start(path, { keys, routes });
    const session = await logInTo(path, deadlines);
    const others = [codeOf(session.queryFeatures()), codeOf(session.grant({ id: 'x', instructions: [] }))];
    expect(await codeOf(session.listFiles(INVENTORY)[Symbol.asyncIterator]().next())).toBe('silent');
    expect(await Promise.all(others)).toEqual(['silent', 'silent']);
    expect((await session.ended) as Error).toMatchObject({ code: 'silent' });
  });

  it('that stops within an answer is silent', async () => {
    const path = freshPath();
    const routes = { [ROUTES.files]: (stream: ServerHttp2Stream) => stream.respond({ ':status': 200 }) };
    await using _agent = await ScriptedAgent.start(path, { keys, routes });
    const session = await logInTo(path, deadlines);
    expect(await codeOf(session.listFiles(INVENTORY)[Symbol.asyncIterator]().next())).toBe('silent');
  });

  it('that drips is silent in the end', async () => {
    const path = freshPath();
    const drip = (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200 });
      const timer = setInterval(() => stream.write(' '), 5);
      stream.on('close', () => clearInterval(timer));
    };
    await using _agent = await ScriptedAgent.start(path, { keys, routes: { [ROUTES.files]: drip } });
    const session = await logInTo(path, { ...QUICK, answer: 100 });
    expect(await codeOf(session.listFiles(INVENTORY)[Symbol.asyncIterator]().next())).toBe('silent');
  });

  it('that sends its heartbeats is not, however long the session lasts', async () => {
    const path = freshPath();
    const sent = Promise.withResolvers<void>();
    const beat = (stream: ServerHttp2Stream, _headers: unknown, agent: ScriptedAgent) => {
      let left = 50;
      stream.respond({ ':status': 200 });
      stream.write(encodeLine(loginLine(agent)));
      const timer = setInterval(() => stream.write(HEARTBEAT, () => --left === 0 && sent.resolve()), 5);
      stream.on('close', () => clearInterval(timer)).resume();
    };
    await using _agent = await ScriptedAgent.start(path, { keys, routes: { [ROUTES.login]: beat } });
    const session = await logInTo(path, { ...QUICK, answer: 100 });
    await sent.promise;
    expect((await session.queryFeatures()).profiles).toEqual(['er']);
    await session.close();
  });

  it('whose heartbeats stay out is silent though nothing was asked', async () => {
    const path = freshPath();
    await using _agent = await ScriptedAgent.start(path, { keys });
    const session = await logInTo(path, { ...QUICK, heartbeat: 50 });
    expect((await session.ended) as Error).toMatchObject({ code: 'silent' });
  });
});
