/** Whole command lines, in this process, with an engine that answers as told. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { cleanReport, finding, report, vm } from '../../test/records.ts';
import { ChannelError } from '../channel/error.ts';
import { defaults, type Settings } from '../config/index.ts';
import { StoreError } from '../error.ts';
import type { EventSink } from '../events/sink.ts';
import type { ScanReport, ScanRequest } from '../scan/report.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { FindingStore } from '../store/findings.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { VmActionJournal } from '../store/vm-action-journal.ts';
import { VmStore } from '../store/vms.ts';
import type { Engine } from './engine.ts';
import type { Io } from './io.ts';
import { runCommandLine } from './program.ts';

let directory: string;
let state: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lazaret-cli-'));
  state = join(directory, 'state');
});
afterEach(() => rm(directory, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly requests: readonly ScanRequest[];
  readonly settings: Settings | undefined;
  readonly calls: readonly string[];
}

const PLUGINS = [
  { meta: { id: 'yara' }, options: z.strictObject({ rules: z.array(z.string()) }) },
  { meta: { id: 'hashset' }, options: z.strictObject({ lists: z.array(z.string()) }) },
];

const PATCHED = {
  patch: 'sshd',
  title: 'Harden sshd',
  state: 'applied',
  reasons: [],
  changes: [{ path: '/etc/ssh/sshd_config', does: 'replace' }],
  actions: ['a'],
} as const;

type Scan = (
  request: ScanRequest,
  signal: AbortSignal,
  interrupt: () => void,
  emit: EventSink['emit'],
) => Promise<ScanReport>;

/** Runs a command line; `scan` plays the engine. */
async function lazaret(
  args: readonly string[],
  scan?: Scan | 'no engine' | 'interrupted start',
  terminal = false,
): Promise<Outcome> {
  const text = { out: '', err: '' };
  const interrupts = new Set<() => void>();
  const requests: ScanRequest[] = [];
  const calls: string[] = [];
  let settings: Settings | undefined;
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
    stdout: output('out'),
    stderr: output('err'),
    env: {},
    exitCode: -1,
    onHangup: () => () => undefined,
    onInterrupt(listener) {
      interrupts.add(listener);
      return () => interrupts.delete(listener);
    },
    abort: (code) => calls.push(`abort ${code}`),
  };
  const interrupt = () => {
    for (const listener of interrupts) listener();
  };
  const startEngine = async (
    given: Settings,
    { events, signal }: Parameters<Parameters<typeof runCommandLine>[2]['startEngine']>[1],
  ): Promise<Engine> => {
    settings = given;
    if (scan === 'no engine') throw new StoreError('in-use', 'another process works on it');
    if (scan === 'interrupted start') {
      interrupt();
      signal?.throwIfAborted();
      throw new Error('the start was not told of the interrupt');
    }
    return {
      scanner: {
        scan: (request, { signal }) => {
          requests.push(request);
          if (!scan) throw new Error('no scan is expected');
          return scan(request, signal, interrupt, (event) => events.emit(event));
        },
      },
      patcher: {
        apply: async (domain, bundle, { dryRun }) => {
          calls.push(`patch ${domain.name} ${bundle}${dryRun ? ' dry' : ''}`);
          return bundle.endsWith('bad')
            ? { ...PATCHED, state: 'rolled-back', reasons: ['the\nreason'] }
            : PATCHED;
        },
      },
      quarantine: {
        restore: async (id, _signal, to) => calls.push(`restore ${id}${to ? ` to ${to.display()}` : ''}`),
        purge: async (id) => {
          if (id === 'missing') throw new ChannelError('silent', 'the guest is silent');
          calls.push(`purge ${id}`);
        },
      },
      packs: {
        install: () => Promise.reject(new Error('not asked for')),
        rollback: () => Promise.reject(new Error('not asked for')),
      },
      packWatch: { start: async () => undefined, look: async () => undefined },
      close: async () => {
        calls.push('close');
      },
    };
  };
  await runCommandLine(args, '1.2.3', {
    ...{
      io,
      startEngine,
      startHost: () => Promise.reject(new Error('no service is expected')),
      plugins: async () => PLUGINS,
    },
    catalogue: async () => ({ plugins: [], packages: [], refused: [] }),
  });
  expect(interrupts.size).toBe(0);
  return { code: io.exitCode, ...text, requests, settings, calls };
}

const configure = async (text: string): Promise<string> => {
  const file = join(directory, 'lazaret.yaml');
  await writeFile(file, text, { mode: 0o600 });
  return file;
};

const TWO_VMS = (at: string) =>
  `state: ${at}\nvms:\n  - {name: web, socket: /run/web.sock}\n  - {name: db, socket: /run/db.sock}\n`;

describe('usage', () => {
  it.each([
    [[], 64],
    [['fings'], 64],
    [['scan', '--mode', 'destroy', '--socket', 'a'], 64],
    [['scan', '--socket', 'a', '--rules'], 64],
    [['scan', '--socket', 'a', 'web'], 64],
    [['scan', '--socket', 'a', '--path', 'relative'], 64],
    [['scan', '--socket', 'a', '--rules', '/nonexistent.yar'], 64],
    [['scan', '--name', 'x'], 64],
    [['quarantine', 'restore'], 64],
    [['quarantine', 'restore', 'a', 'b', '--to', '/x'], 64],
    [['quarantine', 'restore', 'a', '--to', 'relative'], 64],
    [['quarantine', 'restore', 'a', '--to', '/a/../b'], 64],
    [['vm', 'show', 'nobody', '--state', '/nonexistent'], 64],
    [['--help'], 0],
    [['--version'], 0],
    [['scan', '--help'], 0],
  ])('%j exits with %i', async (args, code) => {
    const outcome = await lazaret(args);
    expect(outcome.code).toBe(code);
    if (code === 64) expect(outcome.err).not.toBe('');
    else expect(outcome.err).toBe('');
  });

  it('says what is wrong and what is next', async () => {
    const { err, out } = await lazaret(['fings']);
    expect(err).toMatch(/^lazaret: unknown command 'fings'.*\(usage\)\n {2}next: lazaret --help\n$/s);
    expect(out).toBe('');
  });
});

it.each([
  ['scan', '--socket', 'a.sock'],
  ['quarantine', 'purge', 'one'],
  ['pack', 'rollback', 'acme/rules'],
])('%s ends when it is interrupted while the engine starts', async (...args) => {
  const { code, err } = await lazaret([...args, '--state', directory], 'interrupted start');
  expect(code).not.toBe(0);
  expect(err).toContain('lazaret: interrupted: nothing more was done (interrupted)');
});

describe('scan', () => {
  it('takes all from the command line with --socket', async () => {
    const rules = await configure('rule');
    const outcome = await lazaret(
      [
        'scan',
        '--socket',
        'a.sock',
        '--state',
        state,
        '--rules',
        rules,
        rules,
        '--name',
        'guest',
        '--path',
        '/etc',
        '--path',
        '/tmp',
        '--mode',
        'contain',
        '--dry-run',
      ],
      async () => cleanReport(),
    );
    expect(outcome.code).toBe(0);
    const [request] = outcome.requests;
    expect(request).toMatchObject({
      mode: 'contain',
      dryRun: true,
      domain: { name: 'guest', socket: join(process.cwd(), 'a.sock') },
    });
    expect(request?.roots.map((root) => root.display())).toEqual(['/etc', '/tmp']);
    expect(outcome.settings?.state).toBe(state);
    expect(outcome.settings?.plugins).toEqual({
      yara: { enabled: true, rules: [rules, rules] },
    });
    expect(outcome.calls).toEqual(['close']);
  });

  it('scans every configured VM, the whole of it, in the mode of the policy', async () => {
    const config = await configure(`${TWO_VMS(state)}policy: {mode: contain}\n`);
    const { requests, code } = await lazaret(['scan', '--config', config], async () => cleanReport());
    expect(code).toBe(0);
    expect(
      requests.map(({ domain, mode, dryRun, roots }) => [domain.name, mode, dryRun, roots[0]?.display()]),
    ).toEqual([
      ['web', 'contain', false, '/'],
      ['db', 'contain', false, '/'],
    ]);
  });

  it('scans the named VMs alone, and knows when there is none', async () => {
    const config = await configure(TWO_VMS(state));
    const { requests } = await lazaret(['scan', 'db', 'db', '--config', config], async () => cleanReport());
    expect(requests.map(({ domain }) => domain.name)).toEqual(['db']);
    const unknown = await lazaret(['scan', 'dv', '--config', config]);
    expect(unknown).toMatchObject({
      code: 64,
      err: 'lazaret: no VM is called dv; configured: web, db (usage)\n',
    });
  });

  it('exits with 2 where an action failed in one of many VMs', async () => {
    const config = await configure(TWO_VMS(state));
    const { code, out } = await lazaret(['scan', '--config', config], async ({ domain }) => {
      const response = domain.name === 'web' ? 'failed' : 'contained';
      return { ...cleanReport(), findings: [{ ...finding(), response }] };
    });
    expect([code, out]).toEqual([2, expect.stringContaining('what should be done about 1 finding failed')]);
  });

  it('goes on after a VM that fails, and exits with 2', async () => {
    const config = await configure(TWO_VMS(state));
    const outcome = await lazaret(['scan', '--config', config], async ({ domain }) => {
      if (domain.name === 'web') {
        throw new ChannelError('no-agent', 'nobody answers', { cause: new Error('ECONNREFUSED\x1b') });
      }
      return { ...cleanReport(), findings: [finding()] };
    });
    expect(outcome.code).toBe(2);
    expect(outcome.err).toBe(
      'web: not scanned to the end\nlazaret: nobody answers (no-agent)\n  because: ECONNREFUSED\\x1b\n',
    );
    expect(outcome.out).toContain('1 malicious\n');
    expect(outcome.calls).toEqual(['close']);
  });

  it('exits with 2, not 1, when it cannot even begin', async () => {
    const outcome = await lazaret(
      ['scan', '--socket', 'a', '--rules', '/', '--state', '/dev/null/x'],
      'no engine',
    );
    expect(outcome).toMatchObject({ code: 2, err: 'lazaret: another process works on it (in-use)\n' });
  });

  it('says when no file will be looked into', async () => {
    const { err, code } = await lazaret(['scan', '--socket', 'a'], async () => cleanReport());
    expect(code).toBe(0);
    expect(err).toMatch(/^only the starter pack is used: --rules and --hashes add your own/);
  });

  it('exits with 1 when malware was found and nothing was missed', async () => {
    const outcome = await lazaret(['scan', '--socket', 'a'], async () => ({
      ...cleanReport(),
      findings: [finding()],
    }));
    expect(outcome.code).toBe(1);
  });

  it('writes events alone to stdout with --json, and names left-out rules on stderr', async () => {
    const outcome = await lazaret(
      ['scan', '--socket', 'a', '--rules', '/', '--json'],
      async (_, __, ___, emit) => {
        await emit({ class_uid: 2004, activity_id: 1, time: 5, metadata: { uid: 'event-1' } });
        return report();
      },
    );
    expect(outcome.code).toBe(2);
    expect(outcome.out).toBe('{"class_uid":2004,"activity_id":1,"time":5,"metadata":{"uid":"event-1"}}\n');
    expect(outcome.err).toBe('left out  bad.yar:12: syntax error (yara)\n');
  });

  it('stops at an interrupt, closes the engine, and ends at once at the second', async () => {
    const config = await configure(TWO_VMS(state));
    const outcome = await lazaret(['scan', 'web', '--config', config], async (_, signal, interrupt) => {
      interrupt();
      expect(signal.aborted).toBe(true);
      interrupt();
      throw new ChannelError('cancelled', 'the scan was cancelled');
    });
    expect(outcome.code).toBe(2);
    expect(outcome.requests).toHaveLength(1);
    expect(outcome.err).toContain('lazaret: stopping; once more ends it at once\n');
    expect(outcome.calls).toEqual(['abort 130', 'close']);
  });

  it('tells every error of the configuration, with 78', async () => {
    const config = await configure('stat: /x\npolicy: {mode: destroy}\n');
    const { code, err } = await lazaret(['scan', '--config', config]);
    expect(code).toBe(78);
    expect(err).toBe(
      `lazaret: the configuration has errors (invalid)\n  ${config}:1:1: stat: there is no such key: did you mean state?\n  ${config}:2:10: policy.mode: expected one of detect, contain, delete (got "destroy")\n`,
    );
  });

  it('has colours on a terminal only, and none with --no-color', async () => {
    const scan: Scan = async () => cleanReport();
    expect((await lazaret(['scan', '--socket', 'a'], scan)).out).not.toContain('\x1b');
    expect((await lazaret(['scan', '--socket', 'a'], scan, true)).out).toContain('\x1b[32mclean');
    expect((await lazaret(['scan', '--socket', 'a', '--no-color'], scan, true)).out).not.toContain('\x1b');
  });
});

describe('what is kept', () => {
  const HELD = 'b6f1c2de-3f4a-4b5c-8d6e-7f8091a2b3c4';

  beforeEach(() => {
    const database = StateDatabase.open(state);
    new VmStore(database).save(vm());
    new FindingStore(database).upsert({
      ...finding(),
      subject: { kind: 'file', path: '/tmp/a\nb', sha256: 'cd'.repeat(32), size: 3 },
    });
    new VaultIndex(database).save({
      id: HELD,
      vm: vm().id,
      action: HELD,
      path: { b64: Buffer.from('/tmp/\xff', 'latin1').toString('base64') },
      sha256: 'cd'.repeat(32),
      size: 3,
      status: 'held',
      at: 0,
    });
    const vmActions = new VmActionJournal(database, new ActionJournal(database));
    vmActions.intent({
      ...{ id: HELD, vm: vm().id, action: 'revert', snapshot: 'clean', intentAt: 0 },
      requester: { kind: 'api', name: 'night-shift', role: 'admin' },
    });
    vmActions.outcome(HELD, { code: 'failed', detail: 'it said\nno' }, 1);
    vmActions.intent({
      ...{ id: 'c6f1c2de-3f4a-4b5c-8d6e-7f8091a2b3c4', vm: 'gone', action: 'pause', intentAt: 2 },
      requester: { kind: 'policy', rule: 'onActiveThreat: pause', scan: 'scan-1' },
    });
    database.close();
  });

  it('tells what was done to VMs, by whom, and what came of it', async () => {
    const { out, code } = await lazaret(['vm', 'history', '--state', state]);
    const [, first, second] = out.split('\n');
    expect(first).toMatch(/gone +pause +policy onActiveThreat: pause \(scan scan-1\) +open$/);
    expect(second).toMatch(/web-1 +revert clean +night-shift \(admin\) +failed: it said\\x0ano$/);
    expect(code).toBe(0);
    const one = await lazaret(['vm', 'history', 'web-1', '--state', state, '--json']);
    expect(JSON.parse(one.out)).toMatchObject({ id: HELD, outcome: { code: 'failed' } });
  });

  it('is shown as tables', async () => {
    const findings = await lazaret(['findings', '--state', state]);
    expect(findings.out.split('\n')[1]).toMatch(
      /web-1 +malicious +contained +yara: EICAR_Test; hashset: eicar +\/tmp\/a\\x0ab$/,
    );
    const vms = await lazaret(['vm', 'list', '--state', state]);
    expect(vms.out).toContain('Debian GNU/Linux 12');
    const held = await lazaret(['quarantine', 'list', '--state', state, '--vm', 'web-1']);
    expect(held.out).toMatch(/held +3 B +web-1 +\/tmp\/\\xff\n$/);
    expect(findings.code + vms.code + held.code).toBe(0);
  });

  it('is shown as lines of JSON', async () => {
    const findings = await lazaret(['findings', '--state', state, '--json']);
    expect(JSON.parse(findings.out)).toMatchObject({ id: 'finding-1', subject: { path: '/tmp/a\\x0ab' } });
    const held = await lazaret(['quarantine', 'list', '--state', state, '--json']);
    expect(JSON.parse(held.out)).toMatchObject({ id: HELD, path: '/tmp/\\xff' });
    const shown = await lazaret(['vm', 'show', 'web-1', '--state', state, '--json']);
    expect(JSON.parse(shown.out).instructionSet.instructions).toContainEqual({
      name: 'stop:process',
      d3fend: 'D3-PT',
    });
  });

  it('is filtered', async () => {
    const none = await lazaret(['findings', '--state', state, '--judgement', 'suspicious']);
    expect(none).toMatchObject({ code: 0, out: '', err: 'nothing was found\n' });
    expect(await lazaret(['findings', '--state', state, '--vm', 'other'])).toMatchObject({ code: 64 });
  });

  it('is nothing, without an error, before the first scan', async () => {
    const empty = join(directory, 'empty');
    for (const args of [['findings'], ['vm', 'list'], ['quarantine', 'list'], ['patch', 'status']]) {
      expect(await lazaret([...args, '--state', empty])).toMatchObject({ code: 0, out: '' });
    }
  });

  it('shows a VM with its capabilities, its instruction set with D3FEND ids, and what was withheld', async () => {
    const { out, code } = await lazaret(['vm', 'show', 'web-1', '--state', state]);
    expect(code).toBe(0);
    expect(out).toMatch(/^web-1\n {2}id +4dea22b3/);
    expect(out).toContain('system        Debian GNU/Linux 12 (debian 12)\n');
    expect(out).toMatch(/^stop:process +D3-PT +terminates one process$/m);
    expect(out).toMatch(/^contain:file +D3-CQ +its agent does not offer it \(not-offered\)$/m);
    expect(out).toMatch(/^delete:file +D3-FEV +the guest's administrator denies it \(denied-by-guest\)$/m);
  });

  it('takes a bundle to a VM that was scanned by its socket, and tells what became of it', async () => {
    const applied = await lazaret(['patch', 'apply', 'web-1', '/b/good', '--state', state]);
    expect(applied).toMatchObject({ code: 0, calls: ['patch web-1 /b/good', 'close'] });
    expect(applied.out).toBe('web-1: Harden sshd (sshd)\n  replace  /etc/ssh/sshd_config\napplied\n');
    const failed = await lazaret(['patch', 'apply', 'web-1', '/b/bad', '--state', state, '--dry-run']);
    expect(failed).toMatchObject({ code: 1, calls: ['patch web-1 /b/bad dry', 'close'] });
    expect(failed.out).toContain('rolled back: the VM is as it was\n  because: the\\x0areason\n');
    expect(await lazaret(['patch', 'apply', 'other', '/b', '--state', state])).toMatchObject({ code: 64 });
  });

  it('goes on after an id that fails, and exits with 1', async () => {
    const { out, err, code, calls } = await lazaret([
      'quarantine',
      'purge',
      'one',
      'missing',
      'two',
      '--state',
      state,
    ]);
    expect(code).toBe(1);
    expect(out).toBe('purged one\npurged two\n');
    expect(err).toContain('lazaret: the guest is silent (silent)');
    expect(calls).toEqual(['purge one', 'purge two', 'close']);
  });
});

describe('doctor', () => {
  it('tells sockets that nobody answers, with the remedy, and exits with 1', async () => {
    const socket = join(directory, 'live.sock');
    const server = createServer().listen(socket);
    const config = await configure(
      `state: ${state}\nspool: {bytes: 1KiB}\nvms:\n  - {name: live, socket: ${socket}}\n  - {name: dead, socket: ${socket}.no}\n`,
    );
    const { out, code } = await lazaret(['doctor', '--config', config]);
    const closed = Promise.withResolvers<void>();
    server.close(() => closed.resolve());
    await closed.promise;
    expect(code).toBe(1);
    expect(out).toMatch(/^ok +vm live +/m);
    expect(out).toMatch(/^fail +vm dead .*\n +→ start the VM/m);
    expect(out).toMatch(/^ok +journal +nothing written yet$/m);
  });

  it('tells a wrong configuration as one finding among others', async () => {
    const config = await configure('stat: /x');
    const { out, code } = await lazaret(['doctor', '--config', config, '--json']);
    const checks = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(code).toBe(1);
    expect(checks[0]).toMatchObject({ name: 'configuration', status: 'fail' });
    expect(checks[0].detail).toContain(':1:1: stat: ');
    expect(checks.map(({ name }) => name)).toContain('node');
  });
});

describe('config', () => {
  it('tells that it is right, or every error with 78', async () => {
    const config = await configure('state: /x');
    expect(await lazaret(['config', 'check', '--config', config])).toMatchObject({
      code: 0,
      out: `the configuration is right: ${config}\n`,
    });
    await configure('plugins: {yara: {rules: 5}}');
    expect((await lazaret(['config', 'check', '--config', config])).err).toContain(
      ':1:18: plugins.yara.rules: ',
    );
    await configure('state: x');
    expect(await lazaret(['config', 'check', '--config', config])).toMatchObject({ code: 78, out: '' });
  });

  const WRITTEN = `state: ${'STATE'}
policy: {mode: detect, deadlines: {login: 20s}}
vms:
  - {name: web-1, socket: /run/web.sock}
groups:
  - {name: webs, match: {names: ["web-*"]}, policy: {mode: contain}, budget: {cpuPercent: 20}}
`;
  const show = async (...args: readonly string[]) => {
    const config = await configure(WRITTEN.replace('STATE', join(directory, 'none')));
    return lazaret(['config', 'show', ...args, '--config', config]);
  };

  it('is shown as the files have it, with what conf.d adds', async () => {
    await mkdir(join(directory, 'conf.d'));
    await writeFile(join(directory, 'conf.d', 'a.yaml'), 'policy: {mode: delete}\n', { mode: 0o600 });
    const { code, out, err } = await show();
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(parse(out)).toEqual({
      ...(parse(WRITTEN) as object),
      state: join(directory, 'none'),
      policy: { mode: 'delete', deadlines: { login: '20s' } },
    });
  });

  it('is shown as it counts, with every default', async () => {
    const { out } = await show('--effective');
    const shown = parse(out) as Settings;
    expect(shown.policy.deadlines).toMatchObject({ login: 20_000, tls: 10_000 });
    expect(shown.spool).toEqual(defaults().spool);
    expect(JSON.parse((await show('--effective', '--json')).out)).toEqual(shown);
    const elsewhere = await show('--effective', '--state', '/elsewhere');
    expect(parse(elsewhere.out)).toMatchObject({ state: '/elsewhere' });
  });

  it('is shown as it holds for one VM, also for one that is not there yet', async () => {
    const { out, err } = await show('--effective', '--vm', 'web-1');
    expect(err).toBe('');
    expect(parse(out)).toMatchObject({
      vm: { name: 'web-1' },
      group: 'webs',
      policy: { mode: 'contain', deadlines: { login: 20_000 } },
      budget: { cpuPercent: 20 },
      schedule: defaults().schedule,
    });
    const other = await show('--vm', 'd\x1bb', '--json');
    expect(other.err).toContain('no VM called d\\x1bb is known');
    expect(JSON.parse(other.out)).toMatchObject({ group: null, policy: { mode: 'detect' }, budget: {} });
  });

  it('is not shown where it is wrong', async () => {
    const config = await configure('policy: {mode: x}');
    expect(await lazaret(['config', 'show', '--config', config])).toMatchObject({ code: 78, out: '' });
  });

  it('prints its JSON Schema', async () => {
    const { out, code } = await lazaret(['config', 'schema']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ type: 'object', properties: { policy: { type: 'object' } } });
  });
});

describe('pack', () => {
  it('lists the starter pack until it is switched off', async () => {
    const { out, code } = await lazaret(['pack', 'list', '--state', state]);
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/^PACK .*\nlazaret\/starter .* comes with Lazaret/),
    ]);
    const json = await lazaret(['pack', 'list', '--state', state, '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ vendor: 'lazaret', id: 'starter', builtIn: true });
    const config = await configure(`state: ${state}\npacks: {starter: false}\n`);
    expect(await lazaret(['pack', 'list', '--config', config])).toMatchObject({
      out: '',
      err: 'no pack is in use\n',
    });
  });

  it('says what is refused and why, and takes only a whole name', async () => {
    const file = join(directory, 'no.tar.zst');
    await writeFile(file, 'nothing');
    const refused = await lazaret(['pack', 'verify', file, '--state', state]);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain(`${file} is refused: it is not a whole .tar.zst archive`);
    const missing = await lazaret(['pack', 'verify', `${file}x`, '--state', state]);
    expect(missing.err).toMatch(/^lazaret: there is no pack at .*\(not-found\)/);
    const half = await lazaret(['pack', 'rollback', 'acme', '--state', state]);
    expect(half).toMatchObject({ code: 64, err: expect.stringContaining('VENDOR/ID') });
  });
});

it('vm list says that the service alone sees the guests of libvirt', async () => {
  const state = `state: ${join(directory, 'none')}\n`;
  const config = await configure(`${state}libvirt: {enabled: true}`);
  const { code, err } = await lazaret(['vm', 'list', '--config', config]);
  expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining('only the service sees its VMs') });
  await configure(state);
  expect((await lazaret(['vm', 'list', '--config', config])).err).not.toContain('libvirt');
});
