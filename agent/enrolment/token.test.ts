import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newEnrolmentToken } from '../../protocol/index.ts';
import { structureOf } from '../testing/smbios.ts';
import { TempDirectory } from '../testing/tree.ts';
import { EnrolmentTokens, type TokenPlaces } from './token.ts';

const FW_CFG = 'firmware/qemu_fw_cfg/by_name/opt/org.lazaret/enrolment/raw';
const [ONE, TWO, THREE, FOUR, FIVE] = Array.from({ length: 5 }, newEnrolmentToken) as [
  ...[string, string, string, string, string],
];
const credential = (token: string) => `io.systemd.credential:lazaret.enrolment=${token}`;

let directory: TempDirectory;
let lines: string[];
beforeEach(() => {
  directory = new TempDirectory();
  lines = [];
});
afterEach(() => directory[Symbol.dispose]());

function put(path: string, content: string | Buffer): string {
  const file = join(directory.path, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function finder(places: Partial<TokenPlaces> = {}): EnrolmentTokens {
  const [firmware, state] = [join(directory.path, 'firmware'), join(directory.path, 'state')];
  return new EnrolmentTokens({ firmware, state, ...places }, (line) => void lines.push(line));
}

describe('tokens', () => {
  it('are none, and nothing is said, where there is nothing', () => {
    expect(finder().find()).toEqual([]);
    expect(finder({ credentials: join(directory.path, 'credentials') }).find()).toEqual([]);
    expect(lines).toEqual([]);
  });

  it('are found in every place, in the order of the places, each once', () => {
    put('state/enrolment-token', `${FIVE}\n`);
    put(FW_CFG, FOUR);
    put('firmware/dmi/entries/11-10/raw', structureOf(11, [credential(ONE)]));
    put('firmware/dmi/entries/11-2/raw', structureOf(11, ['other=1', credential(THREE)]));
    put('firmware/dmi/entries/1-0/raw', structureOf(1, [credential(newEnrolmentToken())]));
    put('credentials/lazaret.enrolment', TWO);
    const file = put('etc/lazaret-agent.token', `${ONE}\n`);
    const found = finder({ file, credentials: join(directory.path, 'credentials') }).find();
    expect(found).toEqual([ONE, TWO, THREE, FOUR, FIVE]);
    expect(lines).toEqual([]);
  });

  it('that are put there later are found then', () => {
    const tokens = finder();
    expect(tokens.find()).toEqual([]);
    put('state/enrolment-token', ONE);
    expect(tokens.find()).toEqual([ONE]);
  });

  it('are found in the whole table where the kernel shows no single structures', () => {
    const table = [structureOf(1, ['QEMU']), structureOf(11, ['x', credential(ONE)]), structureOf(127, [])];
    put('firmware/dmi/tables/DMI', Buffer.concat(table));
    expect(finder().find()).toEqual([ONE]);
  });

  it('can be base64, as systemd has it', () => {
    const binary = `io.systemd.credential.binary:lazaret.enrolment=${Buffer.from(ONE).toString('base64')}`;
    put('firmware/dmi/entries/11-0/raw', structureOf(11, [binary]));
    expect(finder().find()).toEqual([ONE]);
  });

  it('are no more than a login may bring', () => {
    const strings = Array.from({ length: 20 }, () => credential(newEnrolmentToken()));
    put('firmware/dmi/entries/11-0/raw', structureOf(11, strings));
    expect(finder().find()).toHaveLength(8);
  });
});

describe('what is no token', () => {
  it.each([
    ['empty', ''],
    ['short', ONE.slice(0, -1)],
    ['two of them', `${ONE}\n${TWO}\n`],
    ['binary', Buffer.from('00ff00', 'hex')],
    ['endless', ONE + '\n'.repeat(5000)],
  ])('is said once, by its place alone, and the next place is looked at: %s', (_name, content) => {
    put(FW_CFG, content);
    put('firmware/dmi/entries/11-0/raw', structureOf(11, [credential('hunter2')]));
    put('state/enrolment-token', ONE);
    const tokens = finder();
    expect(tokens.find()).toEqual([ONE]);
    expect(tokens.find()).toEqual([ONE]);
    expect(lines).toEqual([
      expect.stringContaining('SMBIOS OEM strings'),
      expect.stringContaining('org.lazaret/enrolment'),
    ]);
    expect(lines.join('\n')).not.toMatch(/hunter2|aaaa/);
  });

  it('is a credential of another name, of which nothing is said', () => {
    const others = [
      'io.systemd.credential:lazaret.enrolmentx=1',
      'io.systemd.credential:other=1',
      '',
      'lazaret.enrolment=',
    ];
    put('firmware/dmi/entries/11-0/raw', structureOf(11, others.filter(Boolean)));
    expect(finder().find()).toEqual([]);
    expect(lines).toEqual([]);
  });

  it('is a spoilt structure, beside which a whole one counts', () => {
    put('firmware/dmi/entries/11-0/raw', structureOf(11, [credential(ONE)]).subarray(0, -1));
    put('firmware/dmi/entries/11-1/raw', structureOf(11, [credential(TWO)]));
    put('firmware/dmi/entries/11-2/raw', Buffer.alloc(70_000, 1));
    expect(finder().find()).toEqual([TWO]);
    expect(lines).toHaveLength(2);
  });

  it('is a file that was named and is not there, a directory, or a FIFO, which nobody waits for', () => {
    const fifo = join(directory.path, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const file of [join(directory.path, 'none'), directory.path, fifo])
      expect(finder({ file }).find()).toEqual([]);
    expect(lines).toHaveLength(3);
  });
});
