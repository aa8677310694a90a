/** What is done follows from what the guest's agent offers and policy allows. */
import { describe, expect, it } from 'vitest';
import type { InstructionName } from '../../protocol/index.ts';
import { answersIn } from './engine.ts';
import { EICAR, MARKER } from './served-folder.ts';
import { serve, startEngine } from './setting.ts';

const ACTING = ['stop:process', 'contain:file', 'delete:file', 'restore:file', 'update:file'] as const;

async function infected(denied: readonly InstructionName[]) {
  const guest = await serve({ denied });
  guest.plant('/tmp/eicar.com', EICAR);
  return guest;
}

describe('a guest that denies contain:file', () => {
  it('has its finding reported, with the reason', async () => {
    const guest = await infected(['contain:file']);
    const engine = await startEngine(guest);
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings).toMatchObject([
      {
        response: 'reported',
        reason:
          'the instruction set of this guest does not have contain:file, and policy does not let it be deleted instead',
      },
    ]);
    expect(report.vm.instructionSet?.withheld).toContainEqual({
      instruction: 'contain:file',
      reason: 'denied-by-guest',
    });
    expect(guest.text('/tmp/eicar.com')).toBe(EICAR);
    expect(engine.kept()).toMatchObject({ actions: [], vault: [] });
  });

  it('has it deleted where policy says so', async () => {
    const guest = await infected(['contain:file']);
    const engine = await startEngine(guest, { policy: { deleteWhenNotContainable: true } });
    expect(answersIn(await engine.scan({ mode: 'contain' }))).toEqual({ '/tmp/eicar.com': 'deleted' });
    expect(guest.has('/tmp/eicar.com')).toBe(false);
  });

  it('has it reported where it denies delete:file too, whatever policy says', async () => {
    const guest = await infected(['contain:file', 'delete:file']);
    const engine = await startEngine(guest, { policy: { deleteWhenNotContainable: true } });
    const report = await engine.scan({ mode: 'contain' });
    expect(report.findings).toMatchObject([
      { response: 'reported', reason: expect.stringContaining('nor does it have delete:file') },
    ]);
    expect(guest.text('/tmp/eicar.com')).toBe(EICAR);
  });
});

it('falls from delete to containment in a guest that denies delete:file', async () => {
  const guest = await infected(['delete:file']);
  const engine = await startEngine(guest);
  expect(answersIn(await engine.scan({ mode: 'delete' }))).toEqual({ '/tmp/eicar.com': 'contained' });
  expect(guest.has('/tmp/eicar.com')).toBe(false);
});

describe('a guest in which nothing may be done', () => {
  it('is scanned all the same, and told what it runs', async () => {
    const guest = await infected(ACTING);
    guest.plantProgram('/opt/implant', MARKER);
    await guest.run('/opt/implant');
    const engine = await startEngine(guest, { policy: { deleteWhenNotContainable: true } });
    const report = await engine.scan({ mode: 'delete' });
    expect(report.findings).toHaveLength(3);
    for (const { response, reason } of report.findings) {
      expect(response).toBe('reported');
      expect(reason).toMatch(/does not have (delete:file|contain:file|stop:process)/);
    }
    expect(guest.has('/tmp/eicar.com') && guest.has('/opt/implant')).toBe(true);
    expect(engine.kept()).toMatchObject({ actions: [], vault: [] });
  });
});

describe('policy', () => {
  it('withholds what it does not allow, though the guest offers it', async () => {
    const guest = await infected([]);
    const allow = ['query:features', 'query:files', 'query:content', 'query:processes'] as const;
    const engine = await startEngine(guest, { policy: { allow: [...allow] } });
    const report = await engine.scan({ mode: 'contain' });
    expect(answersIn(report)).toEqual({ '/tmp/eicar.com': 'reported' });
    expect(report.vm.instructionSet?.instructions.toSorted()).toEqual(allow.toSorted());
    expect(guest.has('/tmp/eicar.com')).toBe(true);
  });
});

it('does not scan a guest that denies its contents', async () => {
  const guest = await infected(['query:content']);
  const engine = await startEngine(guest);
  await expect(engine.scan()).rejects.toMatchObject({
    code: 'not-permitted',
    message: expect.stringContaining('query:content'),
  });
});
