import { randomUUID } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { type ConnectOptions, connectGuest } from '../../core/capability/connect.ts';
import type { Domain } from '../../core/channel/session.ts';
import type { VmRecord } from '../../core/store/records.ts';
import { encodeLine, type InstructionName, ROUTES, toPairs } from '../../protocol/index.ts';
import { bodyOf, FEATURES, respond, ScriptedAgent } from './scripted-agent.ts';
import { agentIdentity, codeOf, freshPath, hostIdentity, keysOf, otherIdentity, QUICK } from './setting.ts';

const keys = keysOf(agentIdentity);
const UUID = '4c4c4544-0042-3510-8054-b7c04f564432';
const NEEDS: readonly InstructionName[] = ['query:files', 'contain:file', 'delete:file'];

/** A host with its enrolments, and one domain. */
function host(socket: string, uuid?: string) {
  const saved = new Map<string, VmRecord>();
  const domain: Domain = { id: 'domain-1', name: 'web', socket, ...(uuid && { uuid }) };
  const options: ConnectOptions = {
    identity: hostIdentity,
    enrolments: { find: (id) => saved.get(id), save: (record) => void saved.set(record.id, record) },
    policy: { allow: ['query:files', 'contain:file'] },
    needs: NEEDS,
    clock: () => 1_700_000_000_000,
    deadlines: QUICK,
  };
  const connect = async () => {
    const guest = await connectGuest(domain, options);
    await guest.session.close();
    return guest;
  };
  return { saved, connect, domain, options };
}

describe('connecting a guest', () => {
  it('logs in, negotiates, grants, and keeps what it learned', async () => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys });
    const { saved, connect } = host(path);
    const { vm, session, instructionSet } = await connect();
    expect(instructionSet.instructions).toEqual(['query:files', 'contain:file']);
    expect(instructionSet.withheld).toEqual([{ instruction: 'delete:file', reason: 'denied-by-policy' }]);
    expect(vm).toMatchObject({ id: 'domain-1', agentKey: agentIdentity.keyId, epoch: 1 });
    expect(saved.get('domain-1')).toEqual(vm);
    expect(agent.requests).toEqual([ROUTES.login, ROUTES.openc2, ROUTES.grant]);
    expect(agent.loginAnswers).toMatchObject([{ type: 'accept', session: session.id, epoch: 1 }]);
  });

  it('counts a new epoch when the guest was started again, and only then', async () => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys });
    const { connect } = host(path);
    const epochs = [(await connect()).vm.epoch, (await connect()).vm.epoch];
    agent.bootId = randomUUID();
    epochs.push((await connect()).vm.epoch, (await connect()).vm.epoch);
    expect(epochs).toEqual([1, 1, 2, 2]);
  });

  it('refuses an agent whose key has changed, tells it so and keeps the pinned one', async () => {
    const path = freshPath();
    const { saved, connect } = host(path);
    const agent = await ScriptedAgent.start(path, { keys });
    await connect();
    await agent[Symbol.asyncDispose]();
    const login = { agent: { id: agent.agentId, version: '0' } };
    await using impostor = await ScriptedAgent.start(path, { keys: keysOf(otherIdentity), login });
    const answered = Promise.withResolvers<unknown>();
    impostor.onAnswer = answered.resolve;
    expect(await codeOf(connect())).toBe('key-changed');
    expect(await answered.promise).toMatchObject({ type: 'refuse', code: 'identity-mismatch' });
    expect(saved.get('domain-1')?.agentKey).toBe(agentIdentity.keyId);
    expect(impostor.requests).toEqual([ROUTES.login]);
  });

  it('refuses a guest that is not the domain, and pins nothing', async () => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys });
    const { saved, connect } = host(path, UUID);
    expect(await codeOf(connect())).toBe('identity-mismatch');
    agent.script = { keys, login: { smbiosUuid: randomUUID() } };
    expect(await codeOf(connect())).toBe('identity-mismatch');
    expect(saved.size).toBe(0);
    agent.script = { keys, login: { smbiosUuid: UUID.toUpperCase() } };
    expect((await connect()).vm.epoch).toBe(1);
  });

  it.each([
    ['agent id', { agent: { id: randomUUID(), version: '0' } }],
    ['firmware UUID', { smbiosUuid: randomUUID() }],
  ])('refuses an enrolled guest with another %s', async (_name, login) => {
    const path = freshPath();
    await using agent = await ScriptedAgent.start(path, { keys });
    const { connect } = host(path);
    await connect();
    agent.script = { keys, login };
    expect(await codeOf(connect())).toBe('identity-mismatch');
  });

  it('grants what is left of an agent that offers little', async () => {
    const path = freshPath();
    const features = { ...FEATURES, pairs: toPairs(['query:features', 'query:files']) };
    await using _agent = await ScriptedAgent.start(path, { keys, features });
    const { instructionSet } = await host(path).connect();
    expect(instructionSet.instructions).toEqual(['query:files']);
    expect(instructionSet.withheld).toEqual([
      { instruction: 'contain:file', reason: 'not-offered' },
      { instruction: 'delete:file', reason: 'not-offered' },
    ]);
  });

  it('grants a budget too, and then waits longer for an answer that keeps coming', async () => {
    const path = freshPath();
    let granted: unknown;
    const routes = {
      [ROUTES.grant]: async (stream: ServerHttp2Stream) => {
        granted = JSON.parse(String(await bodyOf(stream)));
        respond(stream, 204);
      },
      [ROUTES.processes]: (stream: ServerHttp2Stream) => {
        let left = 200;
        stream.respond({ ':status': 200 });
        const timer = setInterval(() => {
          if (left-- > 0) stream.write(' ');
          else stream.end(encodeLine({ type: 'end', processes: 0 }));
        }, 5);
        stream.on('close', () => clearInterval(timer));
      },
    };
    await using _agent = await ScriptedAgent.start(path, { keys, routes });
    const { domain, options } = host(path);
    const deadlines = { ...QUICK, answer: 500 };
    const budget = { cpuPercent: 1 };
    const { session, instructionSet } = await connectGuest(domain, { ...options, deadlines, budget });
    const { id, instructions } = instructionSet;
    expect(granted).toEqual({ id, instructions, budget });
    expect(await Array.fromAsync(session.listProcesses())).toHaveLength(1);
    await session.close();
  });

  it('closes the channel when a step fails', async () => {
    const path = freshPath();
    const refuse = { code: 'failed', message: 'no' } as const;
    const routes = {
      [ROUTES.grant]: (stream: Parameters<typeof respond>[0]) => respond(stream, 500, refuse),
    };
    await using agent = await ScriptedAgent.start(path, { keys, routes });
    expect(await codeOf(host(path).connect())).toBe('refused');
    expect(agent.sessions[0]?.destroyed || (await closed(agent))).toBe(true);
  });

  it('can be aborted while the agent keeps it waiting', async () => {
    const path = freshPath();
    const asked = Promise.withResolvers<void>();
    const routes = { [ROUTES.openc2]: () => asked.resolve() };
    await using _agent = await ScriptedAgent.start(path, { keys, routes });
    const { domain, options } = host(path);
    const abort = new AbortController();
    const connecting = connectGuest(domain, options, abort.signal);
    await asked.promise;
    abort.abort();
    expect(await codeOf(connecting)).toBe('cancelled');
  });
});

const closed = (agent: ScriptedAgent): Promise<boolean> =>
  new Promise((resolve) => agent.sessions[0]?.once('close', () => resolve(true)));
