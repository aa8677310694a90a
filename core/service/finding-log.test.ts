import { beforeEach, describe, expect, it } from 'vitest';
import { finding, processFinding, vm } from '../../test/records.ts';
import type { FindingRecord } from '../store/records.ts';
import { FindingLog, MOST_LINES } from './finding-log.ts';
import { type Line, memoryLogger } from './testing/requests.ts';

let lines: Line[];
let log: FindingLog;
beforeEach(() => {
  const memory = memoryLogger();
  lines = memory.lines;
  log = new FindingLog(memory.logger);
});

const reported = (over: Partial<FindingRecord> = {}): FindingRecord => ({
  ...finding(),
  ...{ response: 'reported', reason: 'the mode is detect', ...over },
});
const answered = (now: FindingRecord, before?: FindingRecord) => log.answered(now, before, vm());

describe('a finding', () => {
  it('is a warning with its VM, path, signature and response', () => {
    answered(finding());
    answered(processFinding());
    expect(lines).toMatchObject([
      {
        level: 'warn',
        message:
          'malicious in web-1: /tmp/eicar.com: yara: EICAR_Test, hashset: eicar: contained (as policy has it)',
        facts: {
          vm: vm().id,
          name: 'web-1',
          path: '/tmp/eicar.com',
          response: 'contained',
          finding: 'finding-1',
        },
      },
      { level: 'warn', message: expect.stringContaining('suspicious in web-1: process 4711 (/tmp/.x)') },
    ]);
  });

  it('is said once while it is as it was, and again when its response, its signatures or its reason changes', () => {
    answered(reported());
    for (let rescans = 0; rescans < 3; rescans++) answered(reported({ scan: `scan-${rescans}` }), reported());
    expect(lines).toHaveLength(1);
    answered(reported({ response: 'failed', reason: 'it is immutable' }), reported());
    answered(reported({ detections: finding().detections.slice(0, 1) }), reported());
    answered(reported({ reason: 'it is suspicious only' }), reported());
    expect(lines).toHaveLength(4);
  });

  it('that was contained before and is contained again is said again: something was done', () => {
    answered(finding(), finding());
    expect(lines).toHaveLength(1);
  });

  it('has names that act on nobody who reads them', () => {
    const path = { b64: Buffer.from('/tmp/\x1b[2J\nx', 'latin1').toString('base64') };
    const detections = [{ detector: 'yara', judgement: 'malicious', name: 'a\u202eb' }] as const;
    answered(
      reported({
        subject: { kind: 'file', path, sha256: 'cd'.repeat(32), size: 1 },
        detections,
        reason: 'a\nb',
      }),
    );
    expect(JSON.stringify(lines)).not.toMatch(/\\u001b|\\n|\u202e/);
    expect(lines[0]?.message).toContain('/tmp/\\x1b[2J\\x0ax');
  });
});

describe('a guest full of malware', () => {
  it('has so many lines a scan, and then a count', () => {
    for (let index = 0; index < 100_000; index++) answered(reported({ id: `finding-${index}` }));
    expect(lines).toHaveLength(MOST_LINES);
    log.scanEnded('scan-1');
    log.scanEnded('scan-1');
    expect(lines.slice(MOST_LINES).map(({ message }) => message)).toEqual([
      expect.stringMatching(/^99900 more findings in web-1 .*lazaret findings/),
    ]);
    answered(reported({ scan: 'scan-2' }));
    expect(lines).toHaveLength(MOST_LINES + 2);
  });

  it('that has few is counted not at all', () => {
    answered(reported());
    log.scanEnded('scan-1');
    log.scanEnded('never-began');
    expect(lines).toHaveLength(1);
  });
});
