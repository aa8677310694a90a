import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { DEADLINES } from '../../protocol/index.ts';
import { ConfigError } from '../error.ts';
import { check } from './load.ts';
import { defaults } from './schema.ts';
import { SECRET } from './values.ts';

const TOP =
  'state, spool, vault, scan, policy, groups, schedule, budget, libvirt, vms, sockets, enrolment, api, events, log, packs, pluginDirectories, plugins';
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
    [
      '3:5: policy.deadlines.login: expected a time such as 500ms, 30s, 5min or 2h, more than 0, at most 596h (got 30)',
    ],
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
    [`1:1: __proto__: there is no such key: expected one of ${TOP}`],
  ],
  [
    'a cron expression that is none',
    'schedule:\n  cron: "at night"',
    [
      '2:3: schedule.cron: expected a cron expression that comes due some day, such as "30 3 * * *" (got "at night")',
    ],
  ],
  [
    'a day that never comes',
    'schedule: {cron: "0 0 31 2 *"}',
    [
      '1:12: schedule.cron: expected a cron expression that comes due some day, such as "30 3 * * *" (got "0 0 31 2 *")',
    ],
  ],
  [
    'a cron expression with seconds',
    'schedule: {cron: "0 30 3 * * *"}',
    [
      '1:12: schedule.cron: expected a cron expression that comes due some day, such as "30 3 * * *" (got "0 30 3 * * *")',
    ],
  ],
  [
    'a time zone that nobody lives in',
    'schedule: {timezone: Europe/Atlantis}',
    ['1:12: schedule.timezone: expected a time zone such as Europe/Berlin (got "Europe/Atlantis")'],
  ],
  [
    'a window past midnight by its hour',
    'schedule:\n  blackout:\n    - {from: "22:00", to: "24:30"}',
    ['3:23: schedule.blackout[0].to: expected a time of day from "00:00" to "23:59" (got "24:30")'],
  ],
  [
    'a window on a day that there is not',
    'schedule: {blackout: [{from: "22:00", to: "23:00", days: [funday]}]}',
    ['1:59: schedule.blackout[0].days[0]: expected one of mon, tue, wed, thu, fri, sat, sun (got "funday")'],
  ],
  [
    'more of a core than there is',
    'budget: {cpuPercent: 150}',
    ['1:10: budget.cpuPercent: expected a whole number from 1 to 100 (got 150)'],
  ],
  [
    'nothing of a core',
    'budget: {cpuPercent: 0}',
    ['1:10: budget.cpuPercent: expected a whole number from 1 to 100 (got 0)'],
  ],
  [
    'less to read than an answer needs',
    'budget:\n  readBytesPerSecond: 512KiB',
    [
      '2:3: budget.readBytesPerSecond: expected a size such as 512MiB, 1GiB or a number of bytes, at least 1MiB (got "512KiB")',
    ],
  ],
  [
    'as little in a group',
    'groups: [{name: web, match: {}, budget: {readBytesPerSecond: 1000}}]',
    [
      '1:42: groups[0].budget.readBytesPerSecond: expected a size such as 512MiB, 1GiB or a number of bytes, at least 1MiB (got 1000)',
    ],
  ],
  [
    'an empty cron expression',
    'schedule: {cron: ""}',
    [
      '1:12: schedule.cron: expected a cron expression that comes due some day, such as "30 3 * * *" (got "")',
    ],
  ],
  [
    'a minute that there is not',
    'schedule: {cron: "61 * * * *"}',
    [
      '1:12: schedule.cron: expected a cron expression that comes due some day, such as "30 3 * * *" (got "61 * * * *")',
    ],
  ],
  [
    'a certificate without its key',
    'events:\n  syslog:\n    address: tls://syslog.example:6514\n    certificate: /c',
    ['2:3: events.syslog.key: expected a value, as there is one for certificate (it is missing)'],
  ],
  [
    'a key without its certificate',
    'events: {webhook: {url: "https://siem.example/", key: {file: /k}}}',
    ['1:10: events.webhook.certificate: expected a value, as there is one for key (it is missing)'],
  ],
  [
    'a group that nobody can tell from another',
    'groups:\n  - {name: web, match: {names: [a]}}\n  - {name: web, match: {names: [b]}}',
    ['3:6: groups[1].name: expected a name that no other group of this list has (got "web")'],
  ],
  [
    'a group that says not whom it means',
    'groups: [{name: web}]',
    ['1:10: groups[0].match: expected a mapping (it is missing)'],
  ],
  [
    'a wrong key in the policy of a group',
    'groups:\n  - name: web\n    match: {names: ["*"]}\n    policy: {mode: kill, mod: detect}',
    [
      '4:14: groups[0].policy.mode: expected one of detect, contain, delete (got "kill")',
      '4:26: groups[0].policy.mod: there is no such key: did you mean mode?',
    ],
  ],
  [
    'what is known, in a group',
    'groups: [{name: web, match: {}, policy: {knownContent: {remember: false}}}]',
    [
      '1:42: groups[0].policy.knownContent: there is no such key: expected one of mode, deleteWhenNotContainable, allow, onActiveThreat, neverTouch, maxFileBytes, excludes, oneFileSystem, fileSystems, inventory, deadlines',
    ],
  ],
  [
    'a pattern that is a path',
    'libvirt: {select: {names: [a/b]}}',
    ['1:28: libvirt.select.names[0]: expected a pattern of names, such as web-* (got "a/b")'],
  ],
  [
    'a libvirt without a scheme',
    'libvirt: {uri: system}',
    ['1:11: libvirt.uri: expected a URI of libvirt such as qemu:///system (got "system")'],
  ],
  [
    'an unknown way to enrol',
    'enrolment: {mode: trust}',
    ['1:13: enrolment.mode: expected one of first-use, token, manual (got "trust")'],
  ],
  [
    'a listener without TLS',
    'api: {listen: {host: 127.0.0.1, port: 80}}',
    ['1:7: api.listen.tls: expected a mapping (it is missing)'],
  ],
  [
    'a secret in the configuration',
    'events:\n  webhook:\n    url: https://siem.example/\n    token: hunter2hunter2',
    [`4:5: events.webhook.token: expected ${SECRET}`],
  ],
  [
    'a secret in two places',
    'events: {webhook: {url: "https://siem.example/", token: {file: /a, credential: b}}}',
    [`1:50: events.webhook.token: expected ${SECRET}`],
  ],
  [
    'a webhook in the clear',
    'events: {webhook: {url: "http://siem.example/"}}',
    ['1:20: events.webhook.url: expected an https URL (got "http://siem.example/")'],
  ],
  [
    'a syslog server without a port',
    'events: {syslog: {address: "tls://syslog.example"}}',
    ['1:19: events.syslog.address: expected an address such as tls://HOST:6514 (got "tls://syslog.example")'],
  ],
  [
    'a fingerprint in another form',
    'api: {listen: {host: "::1", port: 1, tls: {certificate: /c, key: {file: /k}}, certificates: [{name: a, role: viewer, fingerprint: "9F:86"}]}}',
    [
      '1:118: api.listen.certificates[0].fingerprint: expected a SHA-256 in hexadecimal, 64 lower-case digits (got "9F:86")',
    ],
  ],
  [
    'a role that there is not',
    'api: {listen: {host: "::1", port: 70000, tls: {certificate: /c, key: {file: /k}}, tokens: [{name: a, role: root, token: {file: /t}}]}}',
    [
      '1:29: api.listen.port: expected a whole number from 1 to 65535 (got 70000)',
      '1:102: api.listen.tokens[0].role: expected one of viewer, operator, admin (got "root")',
    ],
  ],
  ['a list at the top', '- state', ['1:1: expected a mapping of keys to values']],
  ['an escape in a key', '"\\e[2J": 1', [`1:1: \\x1b[2J: there is no such key: expected one of ${TOP}`]],
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

it.each(['30 3 * * *', '*/15 8-18 * * mon-fri', '0 0 29 2 *', '@daily', '0 0 L * *'])(
  'takes the cron expression %s',
  async (cron) => {
    const settings = await check([{ file: 'a.yaml', text: JSON.stringify({ schedule: { cron } }) }]);
    expect(settings.schedule.cron).toBe(cron);
  },
);

it('takes the smallest budget that there may be', async () => {
  const text = 'budget: {cpuPercent: 1, readBytesPerSecond: 1MiB}';
  expect((await check([{ file: 'a.yaml', text }])).budget).toEqual({
    cpuPercent: 1,
    readBytesPerSecond: 2 ** 20,
  });
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
