/** Receivers that go away for a minute and come back: every event arrives, counted once by its id. */
import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Outbox } from '../../core/events/outbox/outbox.ts';
import type { EventOutlet } from '../../core/events/outbox/outlet.ts';
import { syslogOutlet } from '../../core/events/outlets/syslog.ts';
import { webhookOutlet } from '../../core/events/outlets/webhook.ts';
import { type Authority, makeAuthority } from './authority.ts';
import { event, uidsOf } from './events.ts';
import { ManualClock } from './manual-clock.ts';
import { syslogReceiver, webhookReceiver } from './receivers.ts';

let directory: string;
let authority: Authority;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-down-'));
  authority = await makeAuthority(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const BATCH = { events: 10, bytes: 2 ** 20 };

/** A receiver at a port that stays the same: what its runs received, in the order of arrival. */
interface Place {
  readonly outlet: EventOutlet;
  start(): Promise<AsyncDisposable>;
  /** One that breaks off in the middle of the second batch it gets. */
  startFlaky(): Promise<AsyncDisposable>;
  uids(): string[];
}

async function syslogPlace(scheme: 'tcp' | 'tls'): Promise<Place> {
  const messages: string[] = [];
  const secured = scheme === 'tls' ? { authority } : {};
  const probe = await syslogReceiver();
  const { port } = probe;
  await probe[Symbol.asyncDispose]();
  let connections = 0;
  const dying = (socket: Socket) => {
    connections += 1;
    socket.once('data', () => (connections === 1 ? socket.end() : socket.destroy()));
  };
  return {
    outlet: syslogOutlet({ address: `${scheme}://127.0.0.1:${port}`, ca: authority.ca, batch: BATCH }),
    start: async () => {
      const receiver = await syslogReceiver({ port, ...secured });
      return {
        [Symbol.asyncDispose]: async () => {
          messages.push(...receiver.messages);
          await receiver[Symbol.asyncDispose]();
        },
      };
    },
    startFlaky: () => syslogReceiver({ port, ...secured, handle: dying }),
    uids: () => uidsOf(messages.map((message) => message.slice(message.indexOf('{'))).join('\n')),
  };
}

async function webhookPlace(): Promise<Place> {
  const bodies: string[] = [];
  const probe = await syslogReceiver();
  const { port } = probe;
  await probe[Symbol.asyncDispose]();
  return {
    outlet: webhookOutlet({ url: `https://127.0.0.1:${port}/`, ca: authority.ca, batch: BATCH }),
    start: () =>
      webhookReceiver(
        authority,
        ({ body }, response) => {
          bodies.push(String(body));
          response.writeHead(204).end();
        },
        { port },
      ),
    startFlaky: () =>
      webhookReceiver(
        authority,
        ({ body }, response, index) => {
          // It has kept them, but cannot say so any more.
          if (index > 0) bodies.push(String(body));
          response.destroy();
        },
        { port },
      ),
    uids: () => uidsOf(bodies.join('')),
  };
}

describe.each<[string, () => Promise<Place>]>([
  ['syslog over TCP', () => syslogPlace('tcp')],
  ['syslog over TLS', () => syslogPlace('tls')],
  ['a webhook', webhookPlace],
])('%s', (_, placeOf) => {
  test('down for a minute, then flaky, then back', async () => {
    const clock = new ManualClock();
    const place = await placeOf();
    const state = mkdtempSync(join(directory, 'state-'));
    const box = new Outbox({
      directory: state,
      bytes: 2 ** 24,
      outlets: [place.outlet],
      logger: silent,
      clock,
    });
    box.start();
    const sent: string[] = [];
    const emit = async (count: number) => {
      const uids = Array.from({ length: count }, (_, index) => `e${sent.length + index}`);
      sent.push(...uids);
      await Promise.all(uids.map((uid) => box.emit(event(uid, { message: 'zwei\nΩ' }))));
    };

    for (const back = clock.now() + 60_000; clock.now() < back; ) {
      await emit(3);
      clock.advance(await clock.asleep());
    }
    await clock.asleep();
    {
      await using _flaky = await place.startFlaky();
      for (let tries = 0; tries < 3; tries++) {
        clock.advance(await clock.asleep());
        await emit(3);
      }
      await clock.asleep();
    }
    expect(box.status().sinks).toMatchObject([{ delivered: 0, queued: sent.length }]);
    {
      await using _receiver = await place.start();
      clock.advance(await clock.asleep());
      await emit(3);
      await box.stop(60_000);
    }
    const arrived = place.uids();
    expect([...new Set(arrived)]).toEqual(sent);
  });
});
