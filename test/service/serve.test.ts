/** `lazaret serve`, a process of its own: its start, its reloads, and every way in which it ends. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../../demo/package-root.ts';
import { ROUTES } from '../../protocol/index.ts';
import { bodyOf, contentOf, respond } from '../channel/scripted-agent.ts';
import { need } from '../need.ts';
import {
  asVms,
  commands,
  endlessListing,
  ONLY_FILE,
  type ScriptedGuest,
  scriptedGuest,
} from './scripted-guests.ts';
import { Serving } from './serving.ts';

const ready = need({
  what: 'the built program',
  there: existsSync(join(packageRoot, 'dist', 'core', 'main.js')),
  get: 'npm run build',
});

let directory: string;
let serving: Serving | undefined;
let guest: ScriptedGuest | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'serve-'));
  // Its only file is known by its hash.
  const sha256 = createHash('sha256').update(contentOf(0)).digest('hex');
  writeFileSync(join(directory, 'hashes.txt'), `${sha256} Known\n`);
});
afterEach(async () => {
  await serving?.[Symbol.asyncDispose]();
  await guest?.[Symbol.asyncDispose]();
  [serving, guest] = [undefined, undefined];
  rmSync(directory, { recursive: true, force: true });
});

const settings = (rest: object = {}): object => ({
  packs: { starter: false },
  plugins: { hashset: { lists: [join(directory, 'hashes.txt')] }, yara: { enabled: false } },
  vms: guest ? asVms([guest]) : [],
  schedule: { onFirstSight: false },
  ...rest,
});
const start = async (rest: object = {}): Promise<Serving> => {
  serving = await Serving.start(directory, settings(rest));
  await serving.says(/the service is ready/);
  return serving;
};
const connected = (service: Serving) =>
  service.vm('web', ({ connection }) => connection.state === 'connected');
const linesOf = (service: Serving): { level: string; message: string; facts?: { code?: string } }[] =>
  service.words
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));

describe.runIf(ready)('a service', { timeout: 60_000 }, () => {
  it('starts, scans what it is asked to, and ends with 0 when it is told to', async () => {
    guest = await scriptedGuest(directory, 'web');
    const service = await start();
    await connected(service);
    const { id } = await service.client.startScan({ vm: 'web' });
    const scan = await service.scanned('web', (one) => one.id === id);
    expect(scan).toMatchObject({ state: 'finished', trigger: 'manual', summary: { files: 1, malicious: 1 } });
    service.signal('SIGTERM');
    expect(await service.stopped()).toBe(0);
    expect(linesOf(service).filter(({ level }) => level === 'warn')).toMatchObject([
      { message: expect.stringMatching(/^malicious in web: .*: reported/) },
    ]);
  });

  it('is the only one on its state directory; the second says who is there', async () => {
    const service = await start();
    const second = await service.run('serve');
    expect(second.code).toBeGreaterThan(0);
    expect(second.stderr).toContain(`another lazaret process (pid ${service.pid}) works on`);
    expect(await service.client.health()).toMatchObject({ live: true, ready: true });
  });

  it('does not start with a configuration that is wrong, and leaves nothing behind', async () => {
    await start();
    await serving?.[Symbol.asyncDispose]();
    serving?.configure(settings({ policy: { mode: 'destroy' } }));
    const run = await serving?.run('serve');
    expect(run).toMatchObject({ code: 78, stdout: '' });
    expect(run?.stderr).toMatch(/lazaret\.yaml:\d+:\d+: policy\.mode: expected one of detect/);
    expect(existsSync(join(directory, 'run', 'lazaret.sock'))).toBe(false);
  });
});

describe.runIf(ready)('a guest', { timeout: 60_000 }, () => {
  it('whose agent is another than the one that was pinned is refused, which is said once', async () => {
    guest = await scriptedGuest(directory, 'web');
    const service = await start();
    await connected(service);
    await guest[Symbol.asyncDispose]();
    rmSync(join(directory, 'web-identity'), { recursive: true });
    guest = await scriptedGuest(directory, 'web');
    const refused = await service.vm('web', ({ connection }) => connection.state === 'refused');
    expect(refused.connection.error?.code).toBe('key-changed');
    // It is tried again meanwhile.
    const { agent } = guest;
    const tries = agent.connections;
    await service.until('another try', async () => agent.connections > tries + 1);
    const said = linesOf(service).filter(({ facts }) => facts?.code === 'key-changed');
    expect(said).toHaveLength(1);
    await service.client.resetEnrolment('web');
    await connected(service);
  });

  it('without an agent is waited for, which is said once, and a scan of it tells why it fails', async () => {
    guest = await scriptedGuest(directory, 'web', { bytes: (socket) => void socket.resume() });
    const service = await start({ policy: { deadlines: { resync: '200ms' } } });
    await service.vm('web', ({ connection }) => connection.error?.code === 'no-agent');
    const { id } = await service.client.startScan({ vm: 'web' });
    const scan = await service.scanned('web', (one) => one.id === id);
    expect(scan).toMatchObject({ state: 'failed', error: { code: 'no-agent' } });
    const said = linesOf(service).filter(({ message }) => message.startsWith('web is not connected'));
    expect(said).toHaveLength(1);
  });
});

describe.runIf(ready)('a reload', { timeout: 60_000 }, () => {
  it('with an invalid configuration keeps the old one, and says every line of what is wrong', async () => {
    guest = await scriptedGuest(directory, 'web');
    const service = await start();
    await connected(service);
    service.configure(settings({ policy: { mode: 'destroy' }, budget: { cpuPercent: 0 } }));
    service.signal('SIGHUP');
    await service.says(/budget\.cpuPercent/);
    const refused = linesOf(service).filter(({ level }) => level === 'warn');
    expect(refused.map(({ message, facts }) => [message, facts?.code])).toEqual([
      [expect.stringMatching(/policy\.mode: expected one of/), 'invalid'],
      [expect.stringMatching(/budget\.cpuPercent: expected a whole number/), 'invalid'],
    ]);
    expect((await service.client.startScan({ vm: 'web' })).mode).toBe('detect');
    expect(guest.agent.sessions).toHaveLength(1);
  });

  it('that is asked for while the service starts comes after that, and does not end it', async () => {
    serving = Serving.begin(directory, settings());
    await serving.says(/the service starts/);
    serving.signal('SIGHUP');
    serving.signal('SIGHUP');
    await serving.says(/the configuration was taken up/);
    await serving.answers();
    expect(await serving.client.health()).toMatchObject({ ready: true });
  });

  it('with what cannot be started keeps the old configuration as well', async () => {
    guest = await scriptedGuest(directory, 'web');
    const service = await start();
    await connected(service);
    const api = { socket: join(directory, 'nowhere', 'lazaret.sock') };
    service.configure(settings({ api, vms: [], events: {} }));
    service.signal('SIGHUP');
    await service.says(/the configuration is refused/);
    await connected(service);
    expect(await service.client.health()).toMatchObject({ ready: true });
  });

  it('gives a group another mode and another budget, in a new session', async () => {
    const budgets: unknown[] = [];
    guest = await scriptedGuest(directory, 'web', {
      routes: {
        [ROUTES.grant]: (stream) =>
          void bodyOf(stream).then((body) => {
            budgets.push(JSON.parse(String(body)).budget);
            respond(stream, 204);
          }),
      },
    });
    const service = await start();
    await connected(service);
    const group = { name: 'webs', match: { names: ['w*'] }, policy: { mode: 'contain' } };
    service.configure(settings({ groups: [{ ...group, budget: { cpuPercent: 20 } }] }));
    service.signal('SIGHUP');
    await service.until('the new grant', async () => budgets.length > 1);
    expect(budgets.at(-1)).toEqual({ cpuPercent: 20 });
    await service.vm(
      'web',
      ({ group: name, connection }) => name === 'webs' && connection.state === 'connected',
    );
    expect((await service.client.startScan({ vm: 'web' })).mode).toBe('contain');
  });

  it('of what sends events fails no scan, though the receiver before lets it wait', async () => {
    guest = await scriptedGuest(directory, 'web');
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const service = await start({ events: { webhook: { url: `https://127.0.0.1:${port}/` } } });
    await connected(service);
    const scans: string[] = [];
    const scan = async (): Promise<void> => {
      const { id } = await service.client.startScan({ vm: 'web' });
      scans.push(id);
      await service.scanned('web', (one) => one.id === id);
    };
    await scan();
    service.configure(settings({ events: { file: { path: service.events, daily: true } } }));
    service.signal('SIGHUP');
    while (!/the configuration was taken up/.test(service.words)) await scan();
    const { items } = await service.client.scans({ vm: 'web', limit: 500 });
    expect(new Set(items.map(({ state }) => state))).toEqual(new Set(['finished']));
    // What the one did not take goes to the other.
    await service.until('every end to be told', async () => {
      const ends = existsSync(service.events)
        ? service.told().filter(({ class_uid }) => class_uid === 6007)
        : [];
      return ends.length >= 2 * scans.length;
    });
    silent.close();
  });
});

describe.runIf(ready)('a service that ends within a scan', { timeout: 60_000 }, () => {
  const patient = { policy: { deadlines: { streamIdle: '1h' } } };

  it('cancels it when it is told to stop, and that is written down', async () => {
    const asked = Promise.withResolvers<void>();
    guest = await scriptedGuest(directory, 'web', {
      routes: { [ROUTES.files]: endlessListing(asked.resolve) },
    });
    let service = await start(patient);
    await connected(service);
    const running = await service.client.startScan({ vm: 'web' });
    const waiting = await service.client.startScan({ vm: 'web' });
    await asked.promise;
    service.signal('SIGTERM');
    expect(await service.stopped()).toBe(0);
    service = await start(patient);
    expect(await service.client.scan(running.id)).toMatchObject({ state: 'cancelled' });
    await expect(service.client.scan(waiting.id)).rejects.toMatchObject({ code: 'unknown-scan' });
  });

  it('is up again after it was killed: the scan failed, and what was begun is settled, once', async () => {
    const sent: string[] = [];
    let isAnswered = false;
    guest = await scriptedGuest(directory, 'web', {
      routes: {
        [ROUTES.openc2]: commands((id) => {
          sent.push(id);
          return isAnswered;
        }),
      },
    });
    let service = await start({ policy: { mode: 'contain' } });
    await connected(service);
    const { id } = await service.client.startScan({ vm: 'web' });
    await service.until('the command', async () => sent.length > 0);
    service.signal('SIGKILL');
    await service.stopped();
    isAnswered = true;
    service = await start({ policy: { mode: 'contain' } });
    await connected(service);
    const { items } = await service.client.actions({ limit: 10 });
    expect(items).toMatchObject([{ id: sent[0], outcome: { code: 'done' } }]);
    expect(new Set(sent).size).toBe(1);
    expect(await service.client.scan(id)).toMatchObject({ state: 'failed' });
    expect((await service.client.findings({ limit: 10 })).items).toMatchObject([
      { subject: { path: ONLY_FILE }, response: 'contained' },
    ]);
    expect((await service.client.quarantine({ limit: 10 })).items).toMatchObject([{ status: 'held' }]);
  });
});
