/** Enrolment over the channel: with the real agent, processes of their own on unix sockets, and with a scripted one. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConnectedGuest, connectGuest } from '../../core/capability/connect.ts';
import type { Domain } from '../../core/channel/session.ts';
import type { EnrolmentMode } from '../../core/enrolment/decide.ts';
import type { LiveKeys } from '../../core/enrolment/live-keys.ts';
import { bareSocket } from '../../core/hypervisor/sockets.ts';
import { StateDatabase } from '../../core/store/database.ts';
import { VmStore } from '../../core/store/vms.ts';
import { enrolmentKey, enrolmentProof, INSTRUCTION_NAMES, newEnrolmentToken } from '../../protocol/index.ts';
import { EnrolmentSetting } from '../enrolment-setting.ts';
import { ScriptedAgent } from './scripted-agent.ts';
import {
  agentIdentity,
  codeOf,
  collect,
  freshPath,
  hostIdentity,
  keysOf,
  otherIdentity,
  QUICK,
} from './setting.ts';

const MAIN = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));
const COMMAND = ['--disable-warning=ExperimentalWarning', MAIN];
const INVENTORY = {
  ...{ roots: ['/'], excludes: [], oneFileSystem: true },
  ...{ maxEntries: 1000, maxDepth: 64, maxSeconds: 60 },
};

let setting: EnrolmentSetting;
let live: LiveKeys;
let mode: EnrolmentMode;
let open: AsyncDisposableStack;
beforeEach(() => {
  setting = new EnrolmentSetting();
  setting.now = Date.now();
  live = setting.liveKeys();
  mode = 'token';
  open = new AsyncDisposableStack();
});
afterEach(async () => {
  await open.disposeAsync();
  setting[Symbol.dispose]();
});

async function connect(domain: Domain): Promise<ConnectedGuest> {
  const guest = await connectGuest(domain, {
    identity: hostIdentity,
    enrolments: setting.vms,
    policy: { allow: INSTRUCTION_NAMES },
    needs: INSTRUCTION_NAMES,
    clock: Date.now,
    deadlines: QUICK,
    gate: setting.gate(mode),
    liveKeys: live,
  });
  open.defer(() => guest.session.close());
  return guest;
}

/** A real agent that serves a directory of its own; its state directory may be a copy of another's. */
class Agent {
  readonly root = freshPath('root');
  readonly state = freshPath('state');
  readonly socket = freshPath('agent.sock');
  readonly domain = bareSocket(this.socket, `vm-${this.socket}`);
  readonly lines: string[] = [];
  private child: ChildProcess | undefined;

  static async start(copied?: Agent): Promise<Agent> {
    const agent = new Agent();
    mkdirSync(agent.root);
    writeFileSync(join(agent.root, 'file'), 'content');
    if (copied) cpSync(copied.state, agent.state, { recursive: true });
    await agent.run();
    open.defer(() => agent.stop());
    return agent;
  }

  async run(): Promise<void> {
    const args = ['--listen', `unix:${this.socket}`, '--root', this.root, '--state', this.state];
    this.child = spawn(process.execPath, [...COMMAND, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    const log = createInterface(this.child.stderr as NodeJS.ReadableStream);
    log.on('line', (line) => void this.lines.push(line));
    await once(log, 'line');
  }

  async stop(): Promise<void> {
    if (!this.child || this.child.exitCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
  }

  handIn(token: string): void {
    writeFileSync(join(this.state, 'enrolment-token'), `${token}\n`);
  }

  renew(): void {
    execFileSync(process.execPath, [...COMMAND, '--new-identity', '--state', this.state], {
      stdio: 'ignore',
    });
  }
}

describe('a guest with the real agent', () => {
  it('is let in by its token, and goes on without one', async () => {
    const agent = await Agent.start();
    expect(await codeOf(connect(agent.domain))).toBe('not-enrolled');
    const { token } = setting.desk.createToken(agent.domain.id);
    agent.handIn(token);
    const { vm, session } = await connect(agent.domain);
    expect(setting.vms.find(agent.domain.id)).toEqual(vm);
    expect(setting.desk.pending()).toEqual([]);
    await session.close();
    const again = await connect(agent.domain);
    expect(again.vm.agentKey).toBe(vm.agentKey);
    expect(agent.lines.join('\n')).toContain('refused the login: not-enrolled');
  });

  it('is let in by an operator who compares the key that its agent logs', async () => {
    mode = 'manual';
    const agent = await Agent.start();
    expect(await codeOf(connect(agent.domain))).toBe('not-enrolled');
    const [, shown = ''] = /key ([0-9a-f]{64})$/.exec(agent.lines[0] ?? '') ?? [];
    setting.desk.accept(agent.domain.id, shown);
    expect((await connect(agent.domain)).vm).toMatchObject({ agentKey: shown, epoch: 1 });
  });

  it('is enrolled again after a reset, though it is the same and has seen an epoch', async () => {
    mode = 'first-use';
    const agent = await Agent.start();
    await (await connect(agent.domain)).session.close();
    setting.desk.reset(agent.domain.id);
    const { session, features } = await connect(agent.domain);
    expect([session.epoch, features.profiles]).toEqual([2, ['er']]);
  });
});

describe('a clone with the state directory of another guest, live at the same time', () => {
  const remove = {
    name: 'delete:file',
    target: { path: '/file', dev: '1', ino: '1', sha256: '0'.repeat(64) },
  } as const;

  it('is looked at, and nothing is done to either, until each has a key of its own', async () => {
    mode = 'first-use';
    const original = await Agent.start();
    await (await connect(original.domain)).session.close();
    const clone = await Agent.start(original);
    const one = await connect(original.domain);
    expect(one.whySuspended?.()).toBeUndefined();
    const other = await connect(clone.domain);
    expect(other.vm.suspended?.reason).toContain('one is a clone of the other');
    for (const guest of [one, other]) {
      expect(guest.whySuspended?.()).toContain('the same key');
      const lines = await collect(guest.session.listFiles(INVENTORY));
      expect(lines.at(-1)).toMatchObject({ type: 'end', files: 1 });
      expect(await codeOf(setting.executor.perform(guest, { instruction: remove }))).toBe('suspended');
    }
    expect(setting.journal.list()).toEqual([]);

    await Promise.all([one, other].map(({ session }) => session.close()));
    await clone.stop();
    clone.renew();
    await clone.run();
    expect(await codeOf(connect(clone.domain))).toBe('key-changed');
    clone.handIn(setting.desk.createToken(clone.domain.id).token);
    const renewed = await connect(clone.domain);
    expect(renewed.vm.agentKey).not.toBe(one.vm.agentKey);
    expect(renewed.whySuspended?.()).toBeUndefined();
    const still = await connect(original.domain);
    expect(still.vm.suspended?.reason).toContain('the same key');
    setting.desk.accept(original.domain.id, still.vm.agentKey);
    expect(still.whySuspended?.()).toBeUndefined();
    expect(await codeOf(setting.executor.perform(still, { instruction: remove }))).toBe('no error');
  });

  it('is no clone when one session came after the other', async () => {
    mode = 'first-use';
    const original = await Agent.start();
    const first = await connect(original.domain);
    await first.session.close();
    await first.session.ended;
    const { whySuspended } = await connect((await Agent.start(original)).domain);
    expect(whySuspended?.()).toBeUndefined();
  });
});

describe('a scripted guest', () => {
  const web = () => bareSocket(freshPath('web.sock'), 'web');
  const proofOf = (token: string, agentKey = agentIdentity.keyId) =>
    enrolmentProof(enrolmentKey(token), { agentKey, hostKey: hostIdentity.keyId });
  const start = (domain: Domain, ...proofs: string[]) =>
    ScriptedAgent.start(domain.socket, { keys: keysOf(agentIdentity), login: { enrolment: { proofs } } });

  it('is pinned, and its token used up, before it hears that it is accepted', async () => {
    const domain = web();
    const { token } = setting.desk.createToken(domain.id);
    await using agent = await start(domain, proofOf(token));
    const atAnswer = Promise.withResolvers<unknown>();
    agent.onAnswer = () => {
      const reader = StateDatabase.read(setting.directory);
      const used = reader.get('SELECT usedAt FROM enrolmentTokens')?.usedAt;
      atAnswer.resolve([new VmStore(reader).find(domain.id)?.agentKey, used]);
      reader.close();
    };
    await connect(domain);
    expect(await atAnswer.promise).toEqual([agentIdentity.keyId, setting.now]);
  });

  it.each([
    ['of a token that this host did not make', () => proofOf(newEnrolmentToken()), 'token-unknown'],
    ['that another agent made', (token: string) => proofOf(token, otherIdentity.keyId), 'token-unknown'],
    [
      'for another host',
      (token: string) =>
        enrolmentProof(enrolmentKey(token), { agentKey: agentIdentity.keyId, hostKey: otherIdentity.keyId }),
      'token-unknown',
    ],
  ])('is refused with a proof %s, and hears so', async (_name, proof, code) => {
    const domain = web();
    const { token } = setting.desk.createToken(domain.id);
    await using agent = await start(domain, proof(token));
    const answered = Promise.withResolvers<unknown>();
    agent.onAnswer = answered.resolve;
    expect(await codeOf(connect(domain))).toBe(code);
    expect(await answered.promise).toMatchObject({ type: 'refuse', code: 'not-enrolled' });
    expect(setting.vms.list()).toEqual([]);
    expect(setting.enrolments.tokensOf(domain.id)[0]).not.toHaveProperty('usedAt');
  });

  it.each(['expired', 'used', 'foreign'] as const)('is refused with a token that is %s', async (state) => {
    const domain = web();
    const { token, expires } = setting.desk.createToken(state === 'foreign' ? 'another' : domain.id);
    if (state === 'expired') setting.now = expires;
    if (state === 'used') setting.enrolments.useToken(setting.enrolments.tokensOf(domain.id)[0]?.id ?? 0, 1);
    await using _agent = await start(domain, proofOf(token));
    expect(await codeOf(connect(domain))).toBe(`token-${state}`);
    expect(setting.vms.list()).toEqual([]);
  });

  it.each([
    ['no proofs', { proofs: [] }],
    ['too many', { proofs: Array(9).fill('0'.repeat(64)) }],
    ['one that is none', { proofs: ['x'] }],
    ['nothing', null],
  ])('breaks the protocol with %s', async (_name, enrolment) => {
    const domain = web();
    const keys = keysOf(agentIdentity);
    await using _agent = await ScriptedAgent.start(domain.socket, { keys, login: { enrolment } });
    expect(await codeOf(connect(domain))).toBe('protocol-violation');
    expect(setting.desk.pending()).toEqual([]);
  });

  it('is let in by a host that knows of no tokens, whatever it shows', async () => {
    const domain = web();
    await using _agent = await start(domain, proofOf(newEnrolmentToken()));
    mode = 'first-use';
    const { vm } = await connect(domain);
    expect(vm.login).not.toHaveProperty('enrolment');
  });
});
