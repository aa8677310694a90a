import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEADLINES } from '../../protocol/index.ts';
import { ConfigError } from '../error.ts';
import { check } from './load.ts';
import { defaults } from './schema.ts';

const ABSOLUTE = 'expected an absolute path on this host, without NUL';

/** Each wrong configuration, with every line that its error must have. */
const WRONG: readonly [what: string, text: string, lines: readonly string[]][] = [
  ['an unknown key', 'stat: /x', ['1:1: stat: there is no such key: did you mean state?']],
  [
    'an unknown key that resembles none',
    'spool:\n  colour: red',
    ['2:3: spool.colour: there is no such key: expected one of directory, bytes, overflow'],
  ],
  [
    'two letters swapped',
    'policy: {mdoe: detect}',
    ['1:10: policy.mdoe: there is no such key: did you mean mode?'],
  ],
  [
    'a key spelt with dashes',
    'policy:\n  max-file-bytes: 1MiB',
    ['2:3: policy.max-file-bytes: there is no such key: did you mean maxFileBytes?'],
  ],
  ['a relative state directory', 'state: lazaret', [`1:1: state: ${ABSOLUTE} (got "lazaret")`]],
  ['NUL in a path', 'state: "/a\\0b"', [`1:1: state: ${ABSOLUTE} (got "/a\\\\u0000b")`]],
  ['a mapping where text belongs', 'state: {a: 1}', [`1:1: state: ${ABSOLUTE} (got {"a":1})`]],
  ['text where a mapping belongs', 'policy: strict', ['1:1: policy: expected a mapping (got "strict")']],
  ['an empty section', 'policy:', ['1:1: policy: expected a mapping (got null)']],
  [
    'an unknown mode',
    '# mode\npolicy:\n  mode: destroy',
    ['3:3: policy.mode: expected one of detect, contain, delete (got "destroy")'],
  ],
  [
    'a flag in words',
    'policy: {oneFileSystem: "yes"}',
    ['1:10: policy.oneFileSystem: expected true or false (got "yes")'],
  ],
  [
    'a size without sense',
    'spool: {bytes: lots}',
    ['1:9: spool.bytes: expected a size such as 512MiB, 1GiB or a number of bytes (got "lots")'],
  ],
  [
    'a size of nothing',
    'spool: {bytes: 0KiB}',
    ['1:9: spool.bytes: expected a size such as 512MiB, 1GiB or a number of bytes (got "0KiB")'],
  ],
  [
    'a negative size',
    'policy: {maxFileBytes: -5}',
    ['1:10: policy.maxFileBytes: expected a size such as 512MiB, 1GiB or a number of bytes (got -5)'],
  ],
  [
    'a size past what numbers can hold',
    'spool: {bytes: 999999TiB}',
    ['1:9: spool.bytes: expected a size such as 512MiB, 1GiB or a number of bytes (got "999999TiB")'],
  ],
  [
    'a time without a unit',
    'policy:\n  deadlines:\n    login: 30',
    ['3:5: policy.deadlines.login: expected a time such as 500ms, 30s, 5min or 2h, more than 0 (got 30)'],
  ],
  [
    'a count of zero',
    'policy: {inventory: {maxEntries: 0}}',
    ['1:22: policy.inventory.maxEntries: expected a whole number, at least 1 (got 0)'],
  ],
  [
    'a guest path that climbs',
    'policy:\n  excludes:\n    - /proc\n    - /a/../b',
    [
      '4:7: policy.excludes[1]: expected an absolute path in the guest, without "." or ".." components (got "/a/../b")',
    ],
  ],
  [
    'one path where a list belongs',
    'policy: {neverTouch: /etc}',
    ['1:10: policy.neverTouch: expected a list (got "/etc")'],
  ],
  ['a VM without a socket', 'vms:\n  - name: web', [`2:5: vms[0].socket: ${ABSOLUTE} (it is missing)`]],
  [
    'two VMs of one name',
    'vms:\n  - {name: web, socket: /a}\n  - {name: web, socket: /b}',
    ['3:6: vms[1].name: expected a name that no other VM of this list has (got "web")'],
  ],
  [
    'a UUID that is none',
    'vms: [{name: web, socket: /a, uuid: 12}]',
    ['1:31: vms[0].uuid: expected a UUID such as 4dea22b3-1d52-d8f3-2516-782e98ab3fa0 (got 12)'],
  ],
  [
    'a VM name that is a path',
    'vms: [{name: ../web, socket: /a}]',
    [
      '1:8: vms[0].name: expected a name of letters, digits, ".", "_" and "-", at most 64 characters (got "../web")',
    ],
  ],
  [
    'a plugin id that is a path',
    'plugins: {../yara: {}}',
    ['1:11: plugins.../yara: expected a plugin id: lower-case letters, digits and "-"'],
  ],
  [
    'a plugin switched by a word',
    'plugins:\n  yara: on',
    ['2:3: plugins.yara: expected a mapping (got "on")'],
  ],
  [
    'an attempt at the prototype',
    '__proto__: {mode: delete}',
    [
      '1:1: __proto__: there is no such key: expected one of state, spool, scan, policy, vms, packs, pluginDirectories, plugins',
    ],
  ],
  ['a list at the top', '- state', ['1:1: expected a mapping of keys to values']],
  [
    'an escape in a key',
    '"\\e[2J": 1',
    [
      '1:1: \\x1b[2J: there is no such key: expected one of state, spool, scan, policy, vms, packs, pluginDirectories, plugins',
    ],
  ],
];

const messageOf = async (...parts: Parameters<typeof check>): Promise<string> => {
  const error = await check(...parts).then(
    () => new Error('it was accepted'),
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({ code: 'invalid' });
  return (error as ConfigError).message;
};

const messageFor = (text: string): Promise<string> => messageOf([{ file: 'a.yaml', text }]);

describe('a wrong configuration', () => {
  it.each(WRONG)('%s', async (_, text, lines) => {
    expect((await messageFor(text)).split('\n')).toEqual(lines.map((line) => `a.yaml:${line}`));
  });

  it('names the place of a syntax error', async () => {
    expect(await messageFor('state: "/x')).toMatch(/^a\.yaml:1:\d+: Missing closing "quote$/);
    expect(await messageFor('state: /a\nstate: /b')).toBe('a.yaml:2:1: Map keys must be unique');
    expect(await messageFor('state: !!js/function x')).toMatch(/^a\.yaml:1:8: Unresolved tag/);
  });

  it('tells every error of every file at once', async () => {
    const message = await messageOf([
      { file: 'a.yaml', text: 'state: x\npolicy: {mode: x}' },
      { file: 'b.yaml', text: 'state: [' },
      { file: 'c.yaml', text: 'spool: {bytes: x}' },
    ]);
    expect(message).toMatch(/^b\.yaml:1:\d+: .*\na\.yaml:1:1: state: .*\na\.yaml:2:10: .*\nc\.yaml:1:9: /);
  });

  it('shows a long value shortened', async () => {
    expect((await messageFor(`state: ${'x'.repeat(5000)}`)).length).toBeLessThan(200);
  });
});

describe('files laid over each other', () => {
  it('adds to mappings and replaces lists and values', async () => {
    const settings = await check([
      {
        file: 'a.yaml',
        text: 'state: /a\npolicy: {mode: contain, excludes: [/x, /y]}\nplugins: {yara: {a: 1}}',
      },
      { file: 'b.yaml', text: '{"policy": {"excludes": ["/z"]}, "plugins": {"yara": {"b": [2]}}}' },
    ]);
    expect(settings.state).toBe('/a');
    expect(settings.policy).toMatchObject({ mode: 'contain', excludes: ['/z'] });
    expect(settings.plugins).toEqual({ yara: { enabled: true, a: 1, b: [2] } });
  });

  it('names the file that a wrong value came from', async () => {
    const message = await messageOf([
      { file: 'a.yaml', text: '\n\nvms:\n  - {name: web, socket: /a}' },
      { file: 'b.yaml', text: 'vms:\n  - name: web' },
    ]);
    expect(message).toMatch(/^b\.yaml:2:5: vms\[0\]\.socket: /);
  });
});

it('takes nothing as the defaults', async () => {
  expect(await check([{ file: 'a.yaml', text: '# nothing\n' }])).toEqual(defaults());
});

it('reads sizes and times', async () => {
  const settings = await check([
    {
      file: 'a.yaml',
      text: 'spool: {bytes: 4KiB}\npolicy: {maxFileBytes: 1000, deadlines: {login: 5min, command: 500ms}}',
    },
  ]);
  expect(settings.spool.bytes).toBe(4096);
  expect(settings.policy.maxFileBytes).toBe(1000);
  expect(settings.policy.deadlines).toMatchObject({ login: 300_000, command: 500 });
});

it('has the deadlines of the contract as its defaults', () => {
  const { deadlines } = defaults().policy;
  expect(DEADLINES).toMatchObject(deadlines);
});

describe('options of plugins', () => {
  const plugins = [
    { meta: { id: 'yara' }, options: z.strictObject({ rules: z.array(z.string()).min(1) }) },
    { meta: { id: 'hashset' }, options: z.strictObject({}) },
  ];

  it('are checked by the plugin, and named with their place', async () => {
    const text = 'plugins:\n  yara:\n    rules: [a, 5]\n    colour: red\n  nosuch: {}\n';
    const message = await messageOf([{ file: 'a.yaml', text }], plugins);
    expect(message.split('\n')).toEqual([
      expect.stringMatching(/^a\.yaml:3:16: plugins\.yara\.rules\[1\]: .*expected string/),
      expect.stringMatching(/^a\.yaml:2:3: plugins\.yara: .*colour/),
      'a.yaml:5:3: plugins.nosuch: there is no such plugin: expected one of hashset, yara (lazaret plugin list tells which are refused)',
    ]);
  });

  it('may be anything where the plugin is switched off, and are handed on as written', async () => {
    const off = 'plugins: {yara: {enabled: false, rules: 5}, hashset: {}}';
    await expect(check([{ file: 'a.yaml', text: off }], plugins)).resolves.toMatchObject({
      plugins: { yara: { enabled: false, rules: 5 }, hashset: { enabled: true } },
    });
  });
});
