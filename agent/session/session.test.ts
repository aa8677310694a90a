import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  echo,
  encodeLine,
  enrolmentKey,
  type Instruction,
  isEnrolmentProof,
  LIMITS,
  LoginRequest,
  newEnrolmentToken,
  preamble,
  Refusal,
  ROUTES,
} from '../../protocol/index.ts';
import { makeCertificate, type RefusedByAgent, type TestHost } from '../testing/host.ts';
import { fileTarget, TestAgent } from '../testing/tree.ts';

async function refusalOf(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => new Error('it was answered'),
    (reason: RefusedByAgent) => reason,
  );
  if (!('refusal' in error)) throw error;
  return Refusal.parse(error.refusal).code;
}

const everyRoute = (host: TestHost): Promise<unknown>[] => [
  host.grant(),
  host.features(),
  host.files(),
  host.processes(),
  host.ask(ROUTES.content, { files: [{ path: '/f' }], maxFileBytes: 1 }),
  host.stage('0'.repeat(64), Buffer.from('x')),
  host.ask('/elsewhere'),
];

describe('before the login', () => {
  it('answers nothing', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.connect();
    const codes = await Promise.all(everyRoute(host).map(refusalOf));
    expect(new Set(codes)).toEqual(new Set(['not-logged-in']));
  });

  it('says who it is', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.connect();
    const { id } = agent.agent.identity;
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    expect(await host.login()).toMatchObject({ type: 'login', protocol: [1], agent: { id }, bootId });
  });

  it('proves, to this host, that it has the tokens that it was handed, and sends none', async () => {
    await using agent = await TestAgent.start();
    expect(await (await agent.connect()).login()).not.toHaveProperty('enrolment');
    const [token, other] = [newEnrolmentToken(), newEnrolmentToken()];
    writeFileSync(join(agent.agent.state, 'enrolment-token'), `${token}\n`);
    const host = await agent.connect();
    const login = await host.login();
    expect(JSON.stringify(login)).not.toContain(token.slice(9));
    const { agentKey, hostKey } = host.keys();
    expect(agentKey).toBe(agent.agent.identity.keyId);
    const [proof = ''] = LoginRequest.parse(login).enrolment?.proofs ?? [];
    expect(isEnrolmentProof(proof, enrolmentKey(token), { agentKey, hostKey })).toBe(true);
    expect(isEnrolmentProof(proof, enrolmentKey(other), { agentKey, hostKey })).toBe(false);
    expect(isEnrolmentProof(proof, enrolmentKey(token), { agentKey, hostKey: agentKey })).toBe(false);
  });

  it('is let in with a spoilt token as without one, and says that it is', async () => {
    await using agent = await TestAgent.start();
    writeFileSync(join(agent.agent.state, 'enrolment-token'), 'lazaret1_\0');
    expect(await (await agent.connect()).login()).not.toHaveProperty('enrolment');
    expect(agent.lines.join()).toContain('is no enrolment token');
  });

  it('takes the host at its word when that refuses', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.connect();
    await host.refuse('identity-mismatch');
    expect(await refusalOf(host.features())).toBe('not-logged-in');
  });
});

describe('the host', () => {
  it('is pinned at its first accepted login, and another is answered nothing', async () => {
    await using agent = await TestAgent.start();
    await agent.session();
    const stranger = await agent.connect(await makeCertificate());
    const asked = [...everyRoute(stranger), stranger.login()];
    const codes = await Promise.all(asked.map(refusalOf));
    expect(new Set(codes)).toEqual(new Set(['host-key-changed']));
    await agent.session();
  });

  it('is not pinned by a login that it refused', async () => {
    await using agent = await TestAgent.start();
    await (await agent.connect(await makeCertificate())).refuse('not-enrolled');
    await agent.session();
  });

  it('cannot go back behind an epoch, also after a restart of the agent', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.connect();
    await host.login({ epoch: 7 });
    await host.features();
    const late = await agent.connect();
    await late.login({ epoch: 6 });
    expect(await refusalOf(late.features())).toBe('not-logged-in');
    expect(readFileSync(join(agent.agent.state, 'epoch'), 'utf8')).toBe('7\n');
    await (await agent.connect()).login({ epoch: 7 });
  });
});

describe('a session', () => {
  it('answers what was granted only, and features always', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('query:processes');
    expect((await host.features()).pairs).toMatchObject({ contain: ['file'], stop: ['process'] });
    expect((await host.processes()).at(-1)).toMatchObject({ type: 'end' });
    expect(await refusalOf(host.files())).toBe('not-granted');
    expect(await refusalOf(host.stage('0'.repeat(64), Buffer.from('x')))).toBe('not-granted');
    expect(await refusalOf(host.ask('/elsewhere'))).toBe('no-such-route');
  });

  it('offers and does nothing that the administrator denies', async () => {
    await using agent = await TestAgent.start({ denied: new Set(['query:files', 'delete:file']) });
    writeFileSync(join(agent.root, 'f'), 'x');
    const host = await agent.session('query:files', 'delete:file');
    const features = await host.features();
    expect(features.pairs.delete).toBeUndefined();
    expect(features.pairs.query).not.toContain('files');
    expect(features['x-lazaret'].denied).toEqual(['query:files', 'delete:file']);
    expect(await refusalOf(host.files())).toBe('denied');
    const target = fileTarget(agent.root, '/f', 'x');
    expect(await host.send({ name: 'delete:file', target })).toMatchObject({ code: 'denied' });
  });

  it('ends with its login', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('query:files');
    host.endLogin();
    await host.ended;
    expect((await (await agent.session('query:files')).files()).length).toBe(1);
  });

  it('refuses malformed and oversized messages, and goes on', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('query:files');
    expect(await refusalOf(host.ask(ROUTES.grant, { id: 'x', instructions: ['exec:anything'] }))).toBe(
      'bad-request',
    );
    expect(await refusalOf(host.ask(ROUTES.openc2, { headers: {}, body: {} }))).toBe('bad-request');
    const large = { id: 'x'.repeat(LIMITS.messageBytes), instructions: [] };
    expect(await refusalOf(host.ask(ROUTES.grant, large))).toBe('too-large');
    expect((await host.files()).length).toBe(1);
  });

  it('is ended by a second answer to its login', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session();
    host.writeLogin(encodeLine({ type: 'accept', session: randomUUID(), epoch: 9, hostTime: 0 }));
    await host.ended;
  });
});

describe('a command', () => {
  async function withFile(): Promise<{ agent: TestAgent; instruction: Instruction }> {
    const agent = await TestAgent.start();
    writeFileSync(join(agent.root, 'f'), 'x');
    const target = fileTarget(agent.root, '/f', 'x');
    return { agent, instruction: { name: 'delete:file', target } };
  }

  it('that is not granted, expired or of another epoch changes nothing', async () => {
    const { agent, instruction } = await withFile();
    await using _ = agent;
    const host = await agent.session('contain:file');
    expect(await host.send(instruction)).toMatchObject({ code: 'not-granted' });
    await host.grant('delete:file');
    expect(await host.send(instruction, { expires: Date.now() - 1000 })).toMatchObject({ code: 'expired' });
    expect(await host.send(instruction, { epoch: 2 })).toMatchObject({ code: 'wrong-epoch' });
    expect(readFileSync(join(agent.root, 'f'), 'utf8')).toBe('x');
    expect(await host.send(instruction)).toEqual({ code: 'done' });
  });

  it("expires on the host's clock, not on the guest's", async () => {
    const { agent, instruction } = await withFile();
    await using _ = agent;
    const host = await agent.connect();
    const hostTime = 1000;
    await host.login({ hostTime });
    await host.grant('delete:file');
    expect(await host.send(instruction, { expires: hostTime - 1 })).toMatchObject({ code: 'expired' });
    expect(await host.send(instruction, { expires: hostTime + 60_000 })).toEqual({ code: 'done' });
  });

  it('that is repeated gets its first outcome and is not done again', async () => {
    const { agent, instruction } = await withFile();
    await using _ = agent;
    const host = await agent.session('delete:file');
    const seal = { id: randomUUID() };
    const both = await Promise.all([host.send(instruction, seal), host.send(instruction, seal)]);
    expect(both).toEqual([{ code: 'done' }, { code: 'done' }]);
    writeFileSync(join(agent.root, 'f'), 'x');
    const target = fileTarget(agent.root, '/f', 'x');
    const again = { name: 'delete:file', target } as const;
    expect(await host.send(again, { ...seal, expires: 0, epoch: 99 })).toEqual({ code: 'done' });
    expect(readFileSync(join(agent.root, 'f'), 'utf8')).toBe('x');
  });
});

describe('resync', () => {
  it('echoes every copy of a preamble, and begins anew for another nonce', async () => {
    await using agent = await TestAgent.start();
    const socket = connect(agent.socket);
    const [first, second] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    socket.write(
      Buffer.concat([Buffer.from('left over'), preamble(first), preamble(first), preamble(second)]),
    );
    const expected = Buffer.concat([echo(first), echo(first), echo(second)]);
    let received = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, chunk]);
      if (received.length >= expected.length) break;
    }
    expect(received.equals(expected)).toBe(true);
  });

  it('ends the session there was', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('query:files');
    // TLS goes no further: what comes back is the echo that begins another session.
    host.socket.write(preamble(Buffer.alloc(16, 3)));
    await host.ended;
    await agent.session();
  });

  it('lets noise in place of TLS end that session only', async () => {
    await using agent = await TestAgent.start();
    const socket = connect(agent.socket);
    const nonce = Buffer.alloc(16, 4);
    socket.write(Buffer.concat([preamble(nonce), Buffer.alloc(100_000, 0x41)]));
    socket.resume();
    await once(socket, 'data');
    await agent.session();
    socket.destroy();
  });
});
