import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { check, type Settings } from '../config/index.ts';
import { apiOptions } from './api-options.ts';
import { outletsOf } from './outlets.ts';
import { secretFile } from './secret-place.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'outlets-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const settingsOf = (settings: object): Promise<Settings> =>
  check([{ file: 'a.yaml', text: JSON.stringify(settings) }]);
const eventsOf = async (events: object) => (await settingsOf({ events })).events;
const write = (name: string, text: string): string => {
  const file = join(directory, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};

describe('where events go', () => {
  it('is where the configuration has it, and nowhere without one', async () => {
    const path = join(directory, 'events');
    const events = await eventsOf({
      file: { path, daily: true },
      syslog: { address: 'tls://siem.example:6514', certificate: '/c', key: { file: '/k' }, confirm: false },
      webhook: { url: 'https://siem.example/', signingSecret: { file: '/s' }, gzip: true },
    });
    expect(outletsOf(events).map(({ name }) => name)).toEqual(['file', 'syslog', 'webhook']);
    expect(outletsOf(await eventsOf({}))).toEqual([]);
  });

  it('uses the certificate, the key and the secrets that are named', async () => {
    const stored = {
      sequence: 1,
      uid: 'e',
      classUid: 2004,
      severityId: 1,
      time: 0,
      acceptedAt: 0,
      json: '{}',
    };
    const deliver = async (events: object) => {
      const [outlet] = outletsOf(await eventsOf(events));
      await outlet?.deliver([stored], new AbortController().signal);
    };
    const missing = join(directory, 'missing');
    const there = write('there.pem', 'PEM');
    const key = { file: missing };
    await expect(
      deliver({ syslog: { address: 'tls://127.0.0.1:1', certificate: there, key } }),
    ).rejects.toMatchObject({ code: 'bad-options', message: expect.stringContaining(missing) });
    const url = 'https://127.0.0.1:1/';
    await expect(deliver({ webhook: { url, certificate: there, key } })).rejects.toMatchObject({
      message: expect.stringContaining(missing),
    });
    await expect(deliver({ webhook: { url, signingSecret: key } })).rejects.toMatchObject({
      message: expect.stringContaining(missing),
    });
  });

  it('cannot be told where systemd gave no credentials', async () => {
    const events = await eventsOf({
      webhook: { url: 'https://siem.example/', token: { credential: 'hook' } },
    });
    expect(() => outletsOf(events)).toThrow(expect.objectContaining({ code: 'unreadable' }));
    expect(secretFile({ credential: 'hook' }, { CREDENTIALS_DIRECTORY: '/run/c' })).toEqual({
      file: '/run/c/hook',
    });
    expect(secretFile({ file: '/a', credential: 'hook' }, {})).toEqual({ file: '/a' });
  });
});

describe('how the API is served', () => {
  const listen = (more: object = {}) => ({
    ...{ host: '::1', port: 7443, tls: { certificate: write('c', 'PEM'), key: { file: write('k', 'KEY') } } },
    ...more,
  });
  const optionsFor = async (api: object) => apiOptions((await settingsOf({ api })).api);

  it('is by its socket, and over TCP with what the files hold', async () => {
    expect(await optionsFor({ socket: '/s' })).toMatchObject({ unix: { path: '/s', mode: 0o660 } });
    const secret = 'x'.repeat(32);
    const tokens = [{ name: 'dash', role: 'viewer', token: { file: write('t', `${secret}\n`) } }];
    expect((await optionsFor({ listen: listen({ tokens }) })).tcp).toMatchObject({
      tls: { cert: 'PEM', key: 'KEY' },
      tokens: [{ name: 'dash', role: 'viewer', secret }],
    });
  });

  it('is not told by a token that is short, or a file that is not there', async () => {
    const tokens = [{ name: 'dash', role: 'viewer', token: { file: write('t', 'hunter2') } }];
    const short = optionsFor({ listen: listen({ tokens }) });
    await expect(short).rejects.toMatchObject({ code: 'invalid' });
    await expect(short).rejects.not.toThrow(/hunter2/);
    const tls = { certificate: join(directory, 'none'), key: { file: write('k', 'KEY') } };
    await expect(optionsFor({ listen: listen({ tls }) })).rejects.toMatchObject({ code: 'unreadable' });
  });
});
