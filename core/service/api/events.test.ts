/** Server-sent events on a real socket: those who follow, those who are slow, and those who go. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cleanReport, progress } from '../../../test/records.ts';
import { MemoryOperations, NOON } from '../testing/operations.ts';
import { ask, type Line, memoryLogger } from '../testing/requests.ts';
import type { LimitOptions } from './limits.ts';
import { type Api, startApi } from './server.ts';

const PATH = '/v1/scans/scan-1/events';
let directory: string;
let socketPath: string;
let operations: MemoryOperations;
let api: Api;
let lines: Line[];

async function start(limits: LimitOptions = {}): Promise<void> {
  const log = memoryLogger();
  lines = log.lines;
  operations = new MemoryOperations();
  api = await startApi(operations, { unix: { path: socketPath, mode: 0o600 }, limits, logger: log.logger });
  await operations.startScan({ vm: 'web-1' });
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'api-'));
  socketPath = join(directory, 'api.sock');
  await start();
});
afterEach(async () => {
  await api.close();
  await rm(directory, { recursive: true });
});

function follow(headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: PATH, headers, agent: false }, resolve).on('error', reject).end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

const found = (message: string) =>
  ({
    type: 'ocsf',
    event: { class_uid: 2004, activity_id: 1, time: NOON, metadata: { uid: 'event-1' }, message },
  }) as const;

describe('following a scan', () => {
  it('tells where it stands, what is found, and the end', async () => {
    const response = await follow();
    expect(response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
    operations.tell('scan-1', found('a\r\n\r\nevent: ended\rdata: {}\n\n'));
    operations.end('scan-1');
    const blocks = (await textOf(response)).split('\n\n').filter((block) => block.startsWith('id:'));
    const events = blocks.map((block) => block.split('\n'));
    expect(events.map(([id, event]) => [id, event])).toEqual([
      ['id: 0', 'event: progress'],
      ['id: 1', 'event: ocsf'],
      ['id: 2', 'event: ended'],
    ]);
    const [first, second, last] = events.map((each) => JSON.parse((each[2] ?? '').slice('data: '.length)));
    expect(first).toEqual({ type: 'progress', progress: progress() });
    expect(second.event.message).toBe('a\r\n\r\nevent: ended\rdata: {}\n\n');
    expect(last).toMatchObject({
      scan: { state: 'finished' },
      report: JSON.parse(JSON.stringify(cleanReport())),
    });
  });

  it('begins anew with a Last-Event-ID, and tells of one that has ended its end', async () => {
    operations.end('scan-1', { state: 'cancelled' });
    const text = await textOf(await follow({ 'last-event-id': '7' }));
    expect(text).toContain('event: ended');
    expect(text).toContain('"state":"cancelled"');
    expect(text).not.toContain('"report"');
  });

  it('shows signs of life', async () => {
    await api.close();
    await start({ timeouts: { heartbeat: 10 } });
    const response = await follow();
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) {
      text += chunk;
      if (text.includes(': \n\n: \n\n')) operations.end('scan-1');
    }
    expect(text).toContain('event: ended');
  });

  it('serves many at once, up to its limit', async () => {
    await api.close();
    await start({ followers: 20 });
    const all = await Promise.all(Array.from({ length: 20 }, () => follow()));
    const refused = await ask({ socketPath }, { path: PATH });
    expect(refused).toMatchObject({ status: 503, json: { error: { code: 'too-many-connections' } } });
    operations.end('scan-1');
    for (const response of all) expect(await textOf(response)).toContain('event: ended');
    expect((await ask({ socketPath }, { path: PATH })).text).toContain('event: ended');
  });
});

describe('a reader', () => {
  it('that goes is followed no more', async () => {
    const response = await follow();
    await expect.poll(() => operations.followersOf('scan-1')).toBe(1);
    response.destroy();
    await expect.poll(() => operations.followersOf('scan-1')).toBe(0);
    expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('that does not read is let go, and takes nothing from the others', async () => {
    await api.close();
    await start({ waitingBytes: 64 * 1024 });
    // Takes the head and nothing after it.
    const deaf = connect(socketPath);
    deaf.write(`GET ${PATH} HTTP/1.1\r\nhost: x\r\n\r\n`);
    deaf.pause();
    deaf.on('error', () => undefined);
    const reader = await follow();
    const text = textOf(reader);
    await expect.poll(() => operations.followersOf('scan-1')).toBe(2);
    const message = 'x'.repeat(16 * 1024);
    let sent = 0;
    while (operations.followersOf('scan-1') === 2 && sent < 1000) {
      operations.tell('scan-1', found(message));
      sent += 1;
      await new Promise(setImmediate);
    }
    expect(operations.followersOf('scan-1')).toBe(1);
    operations.end('scan-1');
    expect((await text).match(/^event: ocsf$/gm)).toHaveLength(sent);
    const warnings = lines.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ facts }) => facts.code)).toEqual(['slow-reader']);
    deaf.destroy();
  });

  it('that is slow misses progress, and is not let go for it', async () => {
    await api.close();
    await start({ waitingBytes: 64 * 1024 });
    const response = await follow();
    await expect.poll(() => operations.followersOf('scan-1')).toBe(1);
    const SENT = 20_000;
    for (let times = 0; times < SENT; times++)
      operations.tell('scan-1', { type: 'progress', progress: { ...progress(), filesDone: times } });
    operations.end('scan-1');
    const text = await textOf(response);
    expect(text).toContain('event: ended');
    expect(text.match(/^event: progress$/gm)?.length).toBeLessThan(SENT);
  });
});

describe('the end of the daemon', () => {
  it('lets all go', async () => {
    const response = await follow();
    await expect.poll(() => operations.followersOf('scan-1')).toBe(1);
    const text = textOf(response);
    await api.close();
    await expect(text).rejects.toThrow('aborted');
    expect(operations.followersOf('scan-1')).toBe(0);
  });

  it('an error that nobody foresaw breaks the stream off, and is logged', async () => {
    operations.followScan = async function* () {
      yield { type: 'progress', progress: progress() };
      await new Promise(setImmediate);
      throw new Error('the secret');
    };
    await expect(follow().then(textOf)).rejects.toThrow(/aborted|hang up/);
    await expect.poll(() => lines.length).toBe(1);
    expect(lines.map(({ message }) => message)).toEqual(['api request failed']);
  });
});
