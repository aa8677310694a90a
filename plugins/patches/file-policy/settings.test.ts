import { readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isMalformed, type SettingsFile, type SettingsFormat } from './settings.ts';
import { sshd } from './sshd.ts';
import { sysctl } from './sysctl.ts';

const fixture = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, 'fixtures', name), 'latin1');

function parsed(format: SettingsFormat, text: string): SettingsFile {
  const file = format.parse(text);
  if (isMalformed(file)) throw new Error(`line ${file.line}: ${file.fault}`);
  return file;
}

const set = (format: SettingsFormat, text: string, settings: Readonly<Record<string, string>>): string =>
  parsed(format, text).with(new Map(Object.entries(settings)));

const holds = (format: SettingsFormat, text: string, name: string, value: string): boolean =>
  parsed(format, text).holds(name, value);

const POLICIES = {
  sshd: { PermitRootLogin: 'no', PasswordAuthentication: 'no', MaxAuthTries: '4' },
  sysctl: {
    'kernel.kptr_restrict': '2',
    'net.ipv4.conf.eth0/100.rp_filter': '1',
    'net.ipv4.tcp_rmem': '4096 87380 6291456',
  },
} as const;

describe.each([
  { name: 'sshd', format: sshd, fault: { line: 2, fault: 'a quotation mark is not closed' } },
  { name: 'sysctl', format: sysctl, fault: { line: 2, fault: 'expected "=" between a name and its value' } },
] as const)('$name', ({ name, format, fault }) => {
  const policy = POLICIES[name];

  it('leaves a clean file byte by byte as it is', () => {
    const clean = fixture(`${name}/clean.conf`);
    for (const [key, value] of Object.entries(policy)) expect(holds(format, clean, key, value)).toBe(true);
    expect(set(format, clean, policy)).toBe(clean);
  });

  it('hardens a weak file, keeping comments, order and spelling', () => {
    const weak = fixture(`${name}/weak.conf`);
    const hardened = set(format, weak, policy);
    expect(hardened).toBe(fixture(`${name}/weak.hardened.conf`));
    for (const [key, value] of Object.entries(policy)) expect(holds(format, hardened, key, value)).toBe(true);
    expect(set(format, hardened, policy)).toBe(hardened);
  });

  it('names the line of a malformed file', () => {
    expect(format.parse(fixture(`${name}/malformed.conf`))).toEqual(fault);
  });

  it('makes a file of nothing', () => {
    const text = set(format, '', policy);
    expect(text.split('\n')).toHaveLength(Object.keys(policy).length + 1);
    expect(text.endsWith('\n')).toBe(true);
  });

  it('reads whatever it is given, in linear time', () => {
    const blanks = ' '.repeat(1_000_000);
    for (const text of [`x${blanks}y${blanks}`, `x =${blanks}`, `a ${'b '.repeat(500_000)}${blanks}`]) {
      expect(isMalformed(format.parse(text)) || !holds(format, text, 'x.y', '1')).toBe(true);
    }
  });

  it('is satisfied by what it wrote, whatever stood there', () => {
    const line = fc.constantFrom(
      ...['# comment', '', '   ', 'Match User bob', 'Match all', 'Include x', 'PermitRootLogin yes\r'],
      ...['permitrootlogin no', 'PasswordAuthentication "no" # so', 'kernel.kptr_restrict = 1'],
      ...['-kernel/kptr_restrict=2', '; comment', 'net.ipv4.tcp_rmem = ', 'MaxAuthTries=3'],
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.boolean(), (lines, ended) => {
        const text = lines.join('\n') + (ended ? '\n' : '');
        const file = format.parse(text);
        if (isMalformed(file)) return;
        const hardened = set(format, text, policy);
        for (const [key, value] of Object.entries(policy)) {
          expect(holds(format, hardened, key, value)).toBe(true);
        }
        expect(set(format, hardened, policy)).toBe(hardened);
        const comments = (all: string) => all.split('\n').filter((each) => /^[#;]/.test(each));
        expect(comments(hardened)).toEqual(comments(text));
      }),
    );
  });
});

describe('sshd', () => {
  it.each([
    ['the first value wins', 'PermitRootLogin no\nPermitRootLogin yes\n', true],
    ['the first value wins, also the weak one', 'PermitRootLogin yes\nPermitRootLogin no\n', false],
    ['keywords have no case, values may be quoted', 'PERMITROOTLOGIN="no"\n', true],
    ['a comment is no setting', '#PermitRootLogin no\n', false],
    ['a Match block speaks for some only', 'Match User bob\nPermitRootLogin no\n', false],
    ['a Match block is left alone', 'PermitRootLogin no\nMatch User bob\nPermitRootLogin yes\n', true],
    ['Match all is no exception', 'PermitRootLogin no\nMatch all\nPermitRootLogin yes\n', false],
    ['an Include may have said it before', 'Include x\nPermitRootLogin no\n', false],
    ['an Include comes too late', 'PermitRootLogin no\nInclude x\n', true],
    ['an Include within a block speaks for it', 'PermitRootLogin no\nMatch User b\nInclude x\n', true],
  ])('%s', (_, text, expected) => {
    expect(holds(sshd, text, 'PermitRootLogin', 'no')).toBe(expected);
  });

  it('knows the old names, of which the first wins too', () => {
    const text = 'ChallengeResponseAuthentication yes\nKbdInteractiveAuthentication no\n';
    expect(set(sshd, text, { KbdInteractiveAuthentication: 'no' })).toBe(
      'ChallengeResponseAuthentication no\nKbdInteractiveAuthentication no\n',
    );
  });

  it('puts a new setting before the first block and the comment above it', () => {
    const text = 'Port 22\n\n# but bob\nMatch User bob\n  PermitRootLogin yes';
    expect(set(sshd, text, { PermitRootLogin: 'no' })).toBe(
      'Port 22\n\nPermitRootLogin no\n# but bob\nMatch User bob\n  PermitRootLogin yes',
    );
  });

  it.each(['"PermitRootLogin" yes', 'PermitRootLogin', 'PermitRootLogin"yes"', 'Port 22 "', '\0'])(
    'does not guess what %j means',
    (line) => {
      expect(sshd.parse(`Port 22\n${line}\n`)).toMatchObject({ line: 2 });
    },
  );
});

describe('sysctl', () => {
  it.each([
    ['the last value wins', 'a.b = 0\na.b = 1\n', true],
    ['the last value wins, also the weak one', 'a.b = 1\na.b = 0\n', false],
    ['slashes are as good as dots', 'a/b=1\n', true],
    ['failing may be no fault', '-a.b = 1\n', true],
    ['a name left out of patterns is not set', '-a.b\n', false],
    ['a comment is no setting', '#a.b = 1\n;a.b = 1\n', false],
  ])('%s', (_, text, expected) => {
    expect(holds(sysctl, text, 'a.b', '1')).toBe(expected);
  });

  it('swaps slashes and dots where the first separator is a dot', () => {
    expect(sysctl.canonical('net.ipv4.conf.eth0/100.rp_filter')).toBe('net/ipv4/conf/eth0.100/rp_filter');
    expect(sysctl.canonical('net/ipv4/conf/eth0.100/rp_filter')).toBe('net/ipv4/conf/eth0.100/rp_filter');
  });

  it('fills in a value that is missing', () => {
    expect(set(sysctl, 'a.b = \r\n', { 'a.b': '1' })).toBe('a.b =1 \r\n');
  });
});
