/** What is sent to syslog, as rsyslog takes it: over TCP and TLS, while it is stopped and started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Outbox } from '../../core/events/outbox/outbox.ts';
import { syslogOutlet } from '../../core/events/outlets/syslog.ts';
import { need } from '../need.ts';
import { type Authority, makeAuthority } from './authority.ts';
import { event } from './events.ts';
import { scriptedOutlet } from './outlets.ts';

const NEEDED = [
  { program: 'rsyslogd', get: 'apt-get install rsyslog' },
  { file: '/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so', get: 'apt-get install rsyslog-gnutls' },
];
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };

let directory: string;
let authority: Authority;
let running: ChildProcess | undefined;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-rsyslog-'));
  authority = await makeAuthority(directory);
});
afterEach(async () => {
  await stop();
  rmSync(directory, { recursive: true, force: true });
});

/** A copy under another name: a profile of AppArmor that goes by the name allows no place but its own. */
function program(): string {
  const copy = join(directory, 'receiver');
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  const found = places.map((place) => join(place, 'rsyslogd')).find((file) => existsSync(file)) ?? 'rsyslogd';
  if (!existsSync(copy)) copyFileSync(found, copy);
  return copy;
}

function configure(port: number, scheme: 'tcp' | 'tls'): void {
  const { ca, server } = authority;
  const tls = `defaultNetstreamDriverCAFile="${ca}" defaultNetstreamDriverCertFile="${server.cert}"
    defaultNetstreamDriverKeyFile="${server.key}"`;
  const driver = 'streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon"';
  writeFileSync(
    join(directory, 'rsyslog.conf'),
    `global(workDirectory="${directory}" maxMessageSize="256k" ${scheme === 'tls' ? tls : ''})
     module(load="imtcp" ${scheme === 'tls' ? driver : ''})
     template(name="parts" type="string" string="%pri% %app-name% %msgid% %structured-data%%msg%\\n")
     input(type="imtcp" port="${port}" address="127.0.0.1")
     action(type="omfile" file="${join(directory, 'received')}" template="parts")`,
  );
}

function start(): void {
  const files = ['-f', join(directory, 'rsyslog.conf'), '-i', join(directory, 'pid')];
  running = spawn(program(), ['-n', ...files], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** In order: what it took is written then. */
async function stop(): Promise<void> {
  if (!running) return;
  const exited = once(running, 'exit');
  running.kill('SIGTERM');
  await exited;
  running = undefined;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const LINE = /^(\d+) lazaret (\d+) \[lazaret@32473 uid="([^"]+)"\] ?(\{.*\})$/;

describe.runIf(need(...NEEDED))('rsyslog', () => {
  test.each(['tcp', 'tls'] as const)(
    'takes every event over %s, though it is stopped between',
    async (scheme) => {
      const port = await freePort();
      configure(port, scheme);
      const outlet = syslogOutlet({
        address: `${scheme}://127.0.0.1:${port}`,
        ca: authority.ca,
        facility: 'local3',
      });
      const counted = scriptedOutlet(outlet.name, outlet.batch);
      counted.respond = (batch, signal) => outlet.deliver(batch, signal);
      const box = new Outbox({
        directory,
        bytes: 2 ** 24,
        outlets: [counted],
        logger: silent,
        random: () => 0,
      });
      box.start();
      const sent: string[] = [];
      const emit = async (count: number) => {
        const uids = Array.from({ length: count }, (_, index) => `${scheme}-${sent.length + index}`);
        sent.push(...uids);
        await Promise.all(
          uids.map((uid) => box.emit(event(uid, { message: `zwei\nΩ\u001b[2J ${'x'.repeat(5_000)}` }))),
        );
      };

      await emit(300);
      start();
      await counted.has(300);
      await stop();
      await emit(300);
      start();
      await emit(300);
      await counted.has(900);
      await box.stop(0);
      await stop();

      const lines = readFileSync(join(directory, 'received'), 'utf8').split('\n');
      const events = lines
        .filter((line) => line.includes('lazaret@'))
        .map((line) => LINE.exec(line) ?? [line]);
      expect([...new Set(events.map(([, , , uid]) => uid))]).toEqual(sent);
      for (const [, priority, msgid, uid, json = ''] of events) {
        expect([priority, msgid]).toEqual([String(19 * 8 + 3), '2004']);
        expect(JSON.parse(json)).toMatchObject({
          metadata: { uid },
          message: expect.stringContaining('zwei\nΩ\u001b'),
        });
      }
    },
  );
});
