/** Packs while guests are scanned: taken up in between, refused without harm, and never let loose on a guest. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { OcsfEvent } from '../../core/events/sink.ts';
import { generateKey, type MinisignKey } from '../../core/pack/minisign.ts';
import { makePack } from '../make-pack.ts';
import { need } from '../need.ts';
import { answersIn } from './engine.ts';
import { MARKER, type ServedFolder } from './served-folder.ts';
import { forThisTest, serve, startEngine } from './setting.ts';

const { signal } = new AbortController();
const SCAN_ACTIVITY = 6007;
/** What only the newer pack looks for. */
const NEWER = ['lazaret', 'newer', 'marker'].join('-');

const ruleFor = (text: string, name = 'Packed') => `rule ${name} { strings: $a = "${text}" condition: $a }\n`;

function pack(guest: ServedFolder, key: MinisignKey, serial: number, rule: string): Promise<string> {
  return makePack(guest.directory, { serial, files: [{ path: 'a.yar', type: 'yara', text: rule }] }, key);
}

/** Holds the first scan that begins, until it is let go. */
function holdFirst() {
  const [begun, letGo] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let first = true;
  const onEvent = ({ class_uid }: OcsfEvent): Promise<void> | void => {
    if (class_uid !== SCAN_ACTIVITY || !first) return;
    first = false;
    begun.resolve();
    return letGo.promise;
  };
  return { begun: begun.promise, letGo: letGo.resolve, onEvent };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('packs while a guest is scanned', () => {
  it('lets scans under way finish on the old ones, and gives the next scan the new ones', async () => {
    const [guest, other] = [await serve(), await serve()];
    for (const each of [guest, other]) each.plant('/srv/newer', NEWER);
    const { secret, trusted: key } = generateKey();
    const hold = holdFirst();
    const engine = await startEngine(guest, {
      onEvent: hold.onEvent,
      packs: { trusted: [{ vendor: 'acme', key }] },
    });
    const first = engine.scan();
    await hold.begun;
    await engine.services.packs.install(await pack(guest, secret, 1, ruleFor(NEWER)), signal);
    expect(answersIn(await engine.scan({ socket: other.socket }))).toEqual({ '/srv/newer': 'reported' });
    hold.letGo();
    expect(answersIn(await first)).toEqual({});
    expect(answersIn(await engine.scan())).toEqual({ '/srv/newer': 'reported' });
  });

  it('refuses bad ones meanwhile, and the scan does not notice', async () => {
    const guest = await serve();
    guest.plant('/srv/implant', MARKER);
    const { secret, trusted: key } = generateKey();
    const hold = holdFirst();
    const engine = await startEngine(guest, {
      onEvent: hold.onEvent,
      packs: { trusted: [{ vendor: 'acme', key }] },
    });
    const scan = engine.scan();
    await hold.begun;
    const bad: [string, Promise<string>][] = [
      ['untrusted-key', pack(guest, generateKey().secret, 1, ruleFor('x'))],
      ['bad-signatures', pack(guest, secret, 1, 'rule Broken {')],
      ['flags-known-good', pack(guest, secret, 1, 'rule Elf { condition: uint32(0) == 0x464c457f }')],
      ['malformed', Promise.resolve(truncated(await pack(guest, secret, 1, ruleFor('y'))))],
    ];
    for (const [code, made] of bad) {
      await expect(engine.services.packs.install(await made, signal)).rejects.toMatchObject({ code });
    }
    hold.letGo();
    const report = await scan;
    expect([report.scan.state, report.problems, answersIn(report)]).toEqual([
      'finished',
      [],
      { '/srv/implant': 'reported' },
    ]);
  });

  it('removes nothing when a signed pack flags what a guest needs, though the host saw no harm', async () => {
    const guest = await serve();
    const libc = '/lib/x86_64-linux-gnu/libc.so.6';
    guest.plant(libc, `another build of it ${NEWER}`);
    guest.plant('/srv/implant', NEWER);
    const { secret, trusted: key } = generateKey();
    const engine = await startEngine(guest, { packs: { trusted: [{ vendor: 'acme', key }] } });
    await engine.services.packs.install(await pack(guest, secret, 1, ruleFor(NEWER)), signal);
    expect(answersIn(await engine.scan({ mode: 'delete' }))).toEqual({
      [libc]: 'reported',
      '/srv/implant': 'deleted',
    });
    expect(guest.has(libc)).toBe(true);
  });

  it('says that a pack has expired, and finds with it all the same', async () => {
    const guest = await serve();
    guest.plant('/srv/newer', NEWER);
    const { secret, trusted: key } = generateKey();
    const packs = { trusted: [{ vendor: 'acme', key }] };
    const engine = await startEngine(guest, { packs });
    await engine.services.packs.install(await pack(guest, secret, 1, ruleFor(NEWER)), signal);
    expect((await engine.scan()).problems).toEqual([]);
    await engine[Symbol.asyncDispose]();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2100-01-02') });
    const report = await (await startEngine(guest, { packs })).scan();
    expect(answersIn(report)).toEqual({ '/srv/newer': 'reported' });
    expect(report.problems).toMatchObject([{ detector: 'packs', file: 'acme/rules', message: /expired on/ }]);
  });
});

function truncated(archive: string): string {
  const bytes = readFileSync(archive);
  writeFileSync(archive, bytes.subarray(0, bytes.length - 9));
  return archive;
}

const PROGRAM = fileURLToPath(new URL('../../dist/core/main.js', import.meta.url));

describe.runIf(need({ what: 'the built program', there: existsSync(PROGRAM), get: 'npm run build' }))(
  'lazaret scan',
  () => {
    it('looks for packs at SIGHUP, and scans the next guest with them', async () => {
      const guest = await serve();
      guest.plant('/srv/newer', NEWER);
      // So many that the next guest has to wait: one that is waited for holds no place.
      const silent = await Promise.all(
        ['a', 'b', 'c', 'd'].map((name) => SilentGuest.listen(join(guest.directory, `${name}.sock`))),
      );
      for (const each of silent) forThisTest(each);
      const { secret, trusted: key } = generateKey();
      const watched = join(guest.directory, 'watched');
      const config = join(guest.directory, 'lazaret.yaml');
      const settings = {
        state: join(guest.directory, 'state'),
        scan: { guestsAtOnce: 1 },
        vms: [
          ...silent.map(({ socket }, at) => ({ name: `silent-${at}`, socket })),
          { name: 'guest', socket: guest.socket },
        ],
        packs: { trusted: [{ vendor: 'acme', key }], watch: watched },
        policy: { deadlines: { resync: '10min' } },
      };
      writeFileSync(config, JSON.stringify(settings), { mode: 0o600 });
      const program = forThisTest(new Program(['scan', '--config', config, '--debug']));
      await Promise.all(silent.map(({ met }) => met));
      expect(program.err).toMatch(/packs\.watch cannot be watched/);
      // Not watched, as it was not there: SIGHUP alone tells of it.
      mkdirSync(watched);
      const archive = join(watched, 'rules.tar.zst');
      renameSync(await pack(guest, secret, 1, ruleFor(NEWER)), archive);
      utimesSync(archive, 1, 1);
      program.child.kill('SIGHUP');
      await program.says('acme/rules 1.1 is in use');
      for (const each of silent) await each[Symbol.asyncDispose]();
      const [code] = await once(program.child, 'close');
      expect(program.out).toMatch(/malicious {2}\/srv\/newer\n {2}found by yara: Packed/);
      expect([code, existsSync(archive)]).toEqual([2, true]);
    });
  },
);

/** A guest that takes a connection and never says a word. */
class SilentGuest implements AsyncDisposable {
  readonly socket: string;
  readonly met: Promise<unknown>;
  private readonly server: Server;
  private readonly connections: Socket[] = [];

  private constructor(server: Server, socket: string) {
    this.server = server;
    this.socket = socket;
    this.met = once(server, 'connection');
    server.on('connection', (connection) => this.connections.push(connection));
  }

  static async listen(socket: string): Promise<SilentGuest> {
    const server = createServer().listen(socket);
    await once(server, 'listening');
    return new SilentGuest(server, socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.connections) connection.destroy();
    this.server.close();
  }
}

/** The program as it runs, and what it has said. */
class Program implements AsyncDisposable {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  out = '';
  err = '';

  constructor(args: readonly string[]) {
    const line = ['--disable-warning=ExperimentalWarning', PROGRAM, ...args];
    this.child = spawn(process.execPath, line, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout.on('data', (text) => {
      this.out += text;
    });
    this.child.stderr.on('data', (text) => {
      this.err += text;
    });
  }

  /** Resolves when it has said this on stderr; rejects when it ends without. */
  says(words: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.err.includes(words)) resolve();
    };
    this.child.stderr.on('data', look);
    this.child.once('close', () => reject(new Error(`it never said "${words}":\n${this.err}`)));
    look();
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
  }
}
