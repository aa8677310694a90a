import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Instruction, Outcome } from '../../protocol/index.ts';
import { finding, vm } from '../../test/records.ts';
import type { ClosedAction } from '../control/execute.ts';
import type { OcsfEvent } from '../events/sink.ts';
import { StateDatabase } from '../store/database.ts';
import { FindingStore } from '../store/findings.ts';
import { noteLateOutcomes, ResponseLog } from './response.ts';

describe('the response to a finding', () => {
  it('is that it was reported, until something is done', () => {
    const log = new ResponseLog(['policy']);
    expect([log.response, log.reason]).toEqual(['reported', 'policy']);
    expect(new ResponseLog().reason).toBeUndefined();
  });

  it('is what was done last', () => {
    const log = new ResponseLog();
    log.outcome('stop:process', { code: 'done' });
    expect(log.response).toBe('stopped');
    log.outcome('contain:file', { code: 'done' });
    expect([log.response, log.reason]).toEqual(['contained', undefined]);
  });

  it('is failed when anything failed, and stays so', () => {
    const log = new ResponseLog();
    log.outcome('stop:process', { code: 'failed', detail: 'it waits for a device' });
    log.outcome('contain:file', { code: 'done' });
    expect(log.response).toBe('failed');
    expect(log.reason).toBe('the guest did not stop the process: failed (it waits for a device)');
  });

  it('takes a process that is gone for stopped, and a file that is gone for failed', () => {
    const log = new ResponseLog();
    log.outcome('stop:process', { code: 'vanished' });
    expect(log.response).toBe('stopped');
    log.outcome('delete:file', { code: 'vanished' });
    expect([log.response, log.reason]).toEqual(['failed', 'the guest did not delete the file: vanished']);
  });

  it('is unknown when what came of a step is; one that failed outweighs it, one that was done does not', () => {
    const log = new ResponseLog();
    log.outcome('stop:process', { code: 'unknown', detail: 'asked three times' });
    log.outcome('contain:file', { code: 'done' });
    expect([log.response, log.reason]).toEqual(['unknown', 'asked three times']);
    log.outcome('delete:file', { code: 'changed' });
    expect(log.response).toBe('failed');
  });
});

describe('an outcome that comes after its scan', () => {
  let folder: string;
  let database: StateDatabase;
  let findings: FindingStore;
  const told: OcsfEvent[] = [];
  const events = { emit: async (event: OcsfEvent) => void told.push(event) };
  const target = { path: '/tmp/eicar.com', dev: '1', ino: '2', sha256: 'cd'.repeat(32) };
  const stop: Instruction = {
    name: 'stop:process',
    target: { pid: 9, start: '1', executable: { dev: '1', ino: '2' } },
  };

  beforeEach(() => {
    told.length = 0;
    folder = mkdtempSync(join(tmpdir(), 'response-test-'));
    database = StateDatabase.open(folder);
    findings = new FindingStore(database);
    findings.upsert({ ...finding(), response: 'failed', reason: 'the guest did not answer' });
  });
  afterEach(() => {
    database.close();
    rmSync(folder, { recursive: true });
  });

  const closed = (instruction: Instruction, outcome: Outcome, id?: string): ClosedAction => ({
    ...{
      id: 'b6f1c2de-3f4a-4b5c-8d6e-7f8091a2b3c4',
      vm: vm().id,
      instructionSet: 'set',
      epoch: 1,
      expires: 2,
    },
    ...{ intentAt: 1, outcomeAt: 3, instruction, outcome, ...(id && { finding: id }) },
  });
  const note = (...actions: ClosedAction[]) => noteLateOutcomes(actions, vm(), { findings, events });

  it('is noted with its finding, and told', async () => {
    await note(
      closed(stop, { code: 'done' }, 'finding-1'),
      closed({ name: 'contain:file', target }, { code: 'done' }, 'finding-1'),
    );
    expect(findings.find('finding-1')).toMatchObject({ response: 'contained' });
    expect(findings.find('finding-1')).not.toHaveProperty('reason');
    expect(told.map(({ class_uid }) => class_uid)).toEqual([7003, 7002, 2004]);
    expect(told.at(-1)).toMatchObject({ activity_id: 2, disposition: 'Quarantined' });
  });

  it('leaves a finding failed of which one step failed', async () => {
    await note(
      closed(stop, { code: 'changed' }, 'finding-1'),
      closed({ name: 'contain:file', target }, { code: 'done' }, 'finding-1'),
    );
    expect(findings.find('finding-1')).toMatchObject({
      response: 'failed',
      reason: expect.stringContaining('changed'),
    });
  });

  it('says nothing of findings when it is of no finding, or restores what was contained', async () => {
    const state = { mode: 0, uid: 0, gid: 0, atime: '0.000000000', mtime: '0.000000000', xattrs: [] };
    await note(
      closed(stop, { code: 'done' }),
      closed(stop, { code: 'done' }, 'finding-unknown'),
      closed({ name: 'restore:file', target: { ...target, state } }, { code: 'done' }, 'finding-1'),
    );
    expect(findings.find('finding-1')).toMatchObject({
      response: 'failed',
      reason: 'the guest did not answer',
    });
    expect(told).toHaveLength(3);
  });
});
