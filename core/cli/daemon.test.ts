/** Whole command lines where a daemon runs: a real API on a real socket, with operations in memory behind it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cleanReport, progress, report, vm as vmRecord } from '../../test/records.ts';
import { PackError } from '../pack/error.ts';
import { type Api, startApi } from '../service/api/server.ts';
import { MemoryOperations, NOON } from '../service/testing/operations.ts';
import { memoryLogger } from '../service/testing/requests.ts';
import { StateDatabase } from '../store/database.ts';
import { VmStore } from '../store/vms.ts';
import type { Io } from './io.ts';
import { runCommandLine } from './program.ts';

let directory: string;
let socketPath: string;
let config: string;
let operations: MemoryOperations;
let api: Api;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-'));
  socketPath = join(directory, 'api.sock');
  config = join(directory, 'lazaret.yaml');
  await writeFile(config, `state: ${join(directory, 'state')}\n`, { mode: 0o600 });
  operations = new MemoryOperations();
  const unix = { path: socketPath, mode: 0o600 };
  api = await startApi(operations, { unix, logger: memoryLogger().logger, uploads: directory });
});
afterEach(async () => {
  await api.close();
  await rm(directory, { recursive: true });
});

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Circumstances {
  /** Called with what interrupts the command. */
  readonly onStart?: (interrupt: () => void) => void;
  readonly terminal?: boolean;
}

async function lazaret(
  args: readonly string[],
  { onStart, terminal = false }: Circumstances = {},
): Promise<Result> {
  const text = { out: '', err: '' };
  const interrupts = new Set<() => void>();
  const output = (to: 'out' | 'err') => ({
    stream: new Writable({
      write(chunk, _, done) {
        text[to] += chunk;
        done();
      },
    }),
    write: (written: string) => {
      text[to] += written;
    },
    isTTY: terminal,
    columns: 140,
  });
  const io: Io = {
    ...{ stdout: output('out'), stderr: output('err'), env: {}, exitCode: -1 },
    onHangup: () => () => undefined,
    onInterrupt(listener) {
      interrupts.add(listener);
      return () => interrupts.delete(listener);
    },
    abort: () => undefined,
  };
  onStart?.(() => {
    for (const listener of interrupts) listener();
  });
  await runCommandLine([...args, '--config', config], '1.2.3', {
    io,
    startEngine: () => Promise.reject(new Error('the engine is not asked for')),
    plugins: async () => [],
    catalogue: async () => ({ plugins: [], packages: [], refused: [] }),
    startHost: () => Promise.reject(new Error('no service is expected')),
    apiSocket: () => socketPath,
  });
  return { code: io.exitCode, ...text };
}

async function whenFollowed(id: string): Promise<void> {
  while (operations.followersOf(id) === 0) await new Promise(setImmediate);
  // And has taken what there is.
  await new Promise(setImmediate);
}

const EVENT = {
  class_uid: 2004,
  activity_id: 1,
  time: NOON,
  metadata: { uid: 'event-1' },
  message: 'found\u001b[31m',
};

describe('scan', () => {
  it('shows the report of a scan that found something, and exits with 2 as it is incomplete', async () => {
    operations.onScan = ({ id }) => queueMicrotask(() => operations.end(id, {}, report()));
    const { code, out } = await lazaret(['scan', 'web-1', '--mode', 'contain', '--path', '/srv', '--fresh']);
    expect(code).toBe(2);
    expect(out).toMatch(
      /^web-1: 1,234 files[\s\S]*malicious {2}\/tmp\/eicar.com\n {2}found by yara: EICAR_Test; /,
    );
    const [order = ''] = operations.calls;
    expect(JSON.parse(order.slice('scan '.length))).toEqual({
      ...{ vm: operations.machines[0]?.id, mode: 'contain', roots: ['/srv'], dryRun: false, fresh: true },
    });
  });

  it('exits with 2 where an action failed', async () => {
    const failed = { ...report().findings[0], response: 'failed' } as const;
    const ended = { ...cleanReport(), findings: [failed as ReturnType<typeof report>['findings'][number]] };
    operations.onScan = ({ id }) => queueMicrotask(() => operations.end(id, {}, ended));
    const { code, out } = await lazaret(['scan', 'web-1', '--mode', 'contain']);
    expect([code, out]).toEqual([2, expect.stringContaining('what should be done about 1 finding failed')]);
  });

  it('says that the guest is suspended, and why', async () => {
    const suspended = { at: 1, reason: 'its key is that of db-1' };
    const whole = report();
    operations.onScan = ({ id }) =>
      queueMicrotask(() => operations.end(id, {}, { ...whole, vm: { ...whole.vm, suspended } }));
    const { out } = await lazaret(['scan', 'web-1']);
    expect(out).toMatch(/^suspended {2}nothing is done to it until .*: its key is that of db-1$/m);
  });

  it('scans all that are on, shows progress on a terminal, and exits with 0 when they are clean', async () => {
    operations.onScan = ({ id }) => {
      operations.tell(id, { type: 'progress', progress: { ...progress(), filesDone: 777 } });
      void whenFollowed(id).then(() => operations.end(id));
    };
    const { code, out, err } = await lazaret(['scan'], { terminal: true });
    expect([code, operations.calls.length]).toEqual([0, 1]);
    expect(err).toContain('db-1: is off, and so not scanned');
    expect(err).toContain('777 of');
    expect(out).toContain('clean');
    // Policy says which mode, not the command line.
    expect(operations.calls[0]).not.toContain('mode');
  });

  it('writes events as lines of JSON, in their order, and nothing besides', async () => {
    operations.onScan = ({ id }) => {
      for (let at = 0; at < 50; at++) operations.tell(id, { type: 'ocsf', event: { ...EVENT, at } });
      queueMicrotask(() => operations.end(id));
    };
    const { code, out } = await lazaret(['scan', 'web-1', '--json']);
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect([code, events.map(({ at }) => at)]).toEqual([0, Array.from({ length: 50 }, (_, at) => at)]);
    expect(out).not.toContain('\u001b');
  });

  it.each([
    ['while it is asked for', () => Promise.resolve()],
    ['while it is followed', (id: string) => whenFollowed(id)],
  ])('that is interrupted %s is cancelled, and it says how it ended', async (_when, moment) => {
    let interrupt = () => undefined as unknown;
    operations.onScan = ({ id }) => void moment(id).then(() => interrupt());
    operations.onCancel = ({ id }) =>
      operations.end(id, { state: 'cancelled', error: { code: 'cancelled', message: 'interrupted' } });
    const { code, err, out } = await lazaret(['scan', 'web-1'], {
      onStart: (given) => {
        interrupt = given;
      },
    });
    expect([code, out]).toEqual([2, '']);
    expect(operations.calls.at(-1)).toBe('cancel scan-1');
    expect(err).toContain('web-1: not scanned to the end\nlazaret: interrupted (cancelled)\n');
  });

  it('one that fails does not keep the others from being scanned', async () => {
    operations.machines[1] = { ...operations.machines[0], id: 'other', name: 'db-1' } as never;
    operations.onScan = ({ id, vm }) =>
      queueMicrotask(() => {
        if (vm.name === 'db-1') operations.end(id, {}, cleanReport());
        else
          operations.end(id, { state: 'failed', error: { code: 'silent', message: 'the guest is silent' } });
      });
    const { code, err, out } = await lazaret(['scan']);
    expect(code).toBe(2);
    expect(err).toContain('web-1: not scanned to the end\nlazaret: the guest is silent (silent)');
    expect(out).toContain('clean');
  });

  it('says so when the daemon goes meanwhile', async () => {
    operations.onScan = ({ id }) => void whenFollowed(id).then(() => api.close());
    const { code, err } = await lazaret(['scan', 'web-1']);
    expect(code).toBe(2);
    expect(err).toContain('(no-answer)');
  });

  it.each([
    [['scan', 'nobody'], 64, 'no VM is called nobody'],
    [['scan', 'web-1', '--rules', 'x'], 64, '--rules goes with --socket'],
    [['scan', '--path', 'relative'], 64, '--path relative'],
  ])('%j exits with %i', async (args, code, words) => {
    const outcome = await lazaret(args);
    expect([outcome.code, operations.calls]).toEqual([code, []]);
    expect(outcome.err).toContain(words);
  });

  it('of a socket, and of a named state directory, is not for the daemon', async () => {
    for (const args of [
      ['--socket', '/run/x.sock'],
      ['web-1', '--state', join(directory, 'own')],
    ]) {
      const { err } = await lazaret(['scan', ...args]);
      expect(err).toMatch(/the engine is not asked for|no VM is configured/);
    }
    expect(operations.calls).toEqual([]);
  });
});

describe('vm', () => {
  it('list shows what the daemon knows', async () => {
    const { code, out } = await lazaret(['vm', 'list']);
    expect(code).toBe(0);
    expect(out).toMatch(/^NAME +GROUP +POWER +CONNECTION/);
    expect(out).toMatch(/^web-1 +default +running +connected /m);
    expect(out).not.toContain('\u001b');
    const lines = (await lazaret(['vm', 'list', '--json'])).out.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(operations.machines);
  });

  it('list shows one that is suspended, whether or not it is connected', async () => {
    const [first = expect.unreachable(), second = expect.unreachable()] = operations.machines;
    const suspended = { at: 1, reason: 'a clone' };
    operations.machines.splice(0, 2, { ...first, suspended }, { ...second, suspended });
    const { out } = await lazaret(['vm', 'list']);
    expect(out).toMatch(/^web-1 .* connected, suspended /m);
    expect(out).toMatch(/^db-1 .* waiting, suspended /m);
  });

  it('show has what is now before what is known from before', async () => {
    const shown = await lazaret(['vm', 'show', 'db-1']);
    expect(shown.out).toMatch(/^db-1 now\n[\s\S]*waiting since .*: it is off \(connect-failed\)/);
    const database = StateDatabase.open(join(directory, 'state'));
    new VmStore(database).save(vmRecord());
    database.close();
    const { out } = await lazaret(['vm', 'show', 'web-1']);
    expect(out).toMatch(/^web-1 now\n[\s\S]*connected since[\s\S]*^web-1\n[\s\S]*Capabilities/m);
    const json = JSON.parse((await lazaret(['vm', 'show', 'web-1', '--json'])).out);
    expect(json).toMatchObject({ epoch: 3, power: 'running', connection: { state: 'connected' } });
  });

  it.each([
    ['start', [], 'web-1 started'],
    ['stop', [], 'web-1 asked to shut down'],
    ['destroy', [], 'web-1 ended'],
    ['pause', [], 'web-1 paused'],
    ['resume', [], 'web-1 resumed'],
    ['attach', [], 'web-1 has the channel'],
    ['detach', [], 'web-1 has no channel any more'],
    ['snapshot', ['s1'], 'web-1 has a snapshot s1'],
    ['revert', ['s1'], 'web-1 is back at the snapshot s1'],
  ])('%s', async (verb, more, words) => {
    expect(await lazaret(['vm', verb, 'web-1', ...more])).toEqual({ code: 0, out: `${words}\n`, err: '' });
    expect(operations.calls).toEqual([[verb, 'web-1', ...more].join(' ')]);
    expect((await lazaret(['vm', verb, 'nobody', ...more])).code).toBe(64);
  });

  it('start without a daemon says what is missing', async () => {
    await api.close();
    const { code, err } = await lazaret(['vm', 'start', 'web-1']);
    expect([code, err]).toEqual([64, expect.stringContaining('lazaret serve')]);
  });
});

describe('quarantine', () => {
  it('is worked on one by one, whatever fails', async () => {
    const { code, out, err } = await lazaret(['quarantine', 'restore', 'none', 'held-1']);
    expect([code, out]).toEqual([1, 'restored held-1\n']);
    expect(err).toContain('(unknown-file)');
    expect(await lazaret(['quarantine', 'purge', 'held-1', '--json'])).toMatchObject({
      ...{ code: 0, out: '{"id":"held-1","status":"purged"}\n' },
    });
    expect((await lazaret(['quarantine', 'restore', 'held-1', '--to', '/srv/x'])).code).toBe(0);
    expect(operations.calls).toEqual(['restore held-1', 'purge held-1', 'restore held-1 to "/srv/x"']);
  });
});

describe('enrol', () => {
  it('has the daemon make a token, for as long as it is told or as is configured there', async () => {
    const { id, name } = operations.machines[0] ?? { id: '', name: '' };
    const { code, out } = await lazaret(['enrol', name, '--expires', '30min']);
    expect([code, out]).toEqual([0, expect.stringMatching(/^a-token\n[\s\S]*lazaret.enrolment=a-token</)]);
    await lazaret(['enrol', name]);
    expect(operations.calls).toEqual([`token ${id} ${30 * 60_000}`, `token ${id}`]);
  });

  it('has it accept and forget keys, by fingerprints that are whole', async () => {
    const { id, name } = operations.machines[0] ?? { id: '', name: '' };
    const accepted = await lazaret(['enrol', name, '--accept', `SHA256:${'AB:'.repeat(31)}CD`]);
    expect(accepted).toMatchObject({
      code: 0,
      out: `${name} is enrolled with the key ${'ab'.repeat(31)}cd\n`,
    });
    expect(await lazaret(['enrol', name, '--accept', 'ab'])).toMatchObject({ code: 1, out: '' });
    expect(await lazaret(['enrol', name, '--reset', '--json'])).toMatchObject({ code: 0 });
    expect(operations.calls).toEqual([`accept ${id} abab`, `reset ${id}`]);
  });

  it('of a VM that the daemon does not know is a wrong use', async () => {
    expect(await lazaret(['enrol', 'nobody'])).toMatchObject({ code: 64, out: '' });
  });
});

describe('pack', () => {
  it('is sent to the daemon, a directory as an archive', async () => {
    const archive = join(directory, 'pack.tar.zst');
    await writeFile(archive, 'the pack');
    const { code, out } = await lazaret(['pack', 'install', archive]);
    expect([code, out]).toEqual([0, 'acme/rules 2.0 is in use\n']);
    const tree = join(directory, 'tree');
    await mkdir(tree);
    await writeFile(join(tree, 'pack.json'), '{}');
    expect((await lazaret(['pack', 'install', tree])).code).toBe(0);
    const [first, second] = operations.installed;
    expect(String(first)).toBe('the pack');
    expect(second?.subarray(0, 4).toString('hex')).toBe('28b52ffd');
  });

  it('that is refused is named', async () => {
    operations.onInstall = () => Promise.reject(new PackError('bad-signature', 'it is not signed'));
    const { code, err } = await lazaret(['pack', 'install', config]);
    expect(code).toBe(1);
    expect(err).toBe(`lazaret: ${config} is refused: it is not signed (bad-signature)\n`);
    expect((await lazaret(['pack', 'install', '/nonexistent'])).err).toContain('/nonexistent cannot be read');
  });

  it('goes back', async () => {
    expect(await lazaret(['pack', 'rollback', 'acme/rules'])).toMatchObject({
      ...{ code: 0, out: 'acme/rules 1.0 is in use again instead of 2.0\n' },
    });
    expect((await lazaret(['pack', 'rollback', 'acme'])).code).toBe(64);
  });
});

describe('patch', () => {
  it('is applied by the daemon', async () => {
    const bundle = join(directory, 'bundle.yaml');
    await writeFile(bundle, 'twelve bytes');
    const { code, out } = await lazaret(['patch', 'apply', 'web-1', bundle, '--dry-run']);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^web-1: Harden sshd \(sshd\)\n {2}replace {2}\/etc\/ssh\/sshd_config\nwould be applied/,
    );
    expect(operations.calls).toEqual(['patch web-1 12 dry']);
    expect((await lazaret(['patch', 'apply', 'nobody', bundle])).code).toBe(64);
    expect((await lazaret(['patch', 'apply', 'web-1', '/nonexistent'])).err).toContain('(unreadable)');
  });
});

describe('without a daemon', () => {
  it('commands work by themselves', async () => {
    await api.close();
    expect((await lazaret(['quarantine', 'purge', 'x'])).err).toContain('the engine is not asked for');
    expect(await lazaret(['vm', 'list'])).toMatchObject({ code: 0, out: '' });
  });

  it('something else at its socket is told, and not worked around', async () => {
    await api.close();
    const { createServer } = await import('node:net');
    const server = createServer((socket) => socket.destroy()).listen(socketPath);
    const { code, err } = await lazaret(['quarantine', 'purge', 'x']);
    expect([code, err]).toEqual([1, expect.stringContaining('(no-answer)')]);
    await new Promise((resolve) => server.close(resolve));
  });
});
