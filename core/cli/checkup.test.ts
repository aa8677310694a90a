import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { ScanStore } from '../store/scans.ts';
import {
  checkDemoGuest,
  checkJournal,
  checkKvm,
  checkNode,
  checkRows,
  checkSpool,
  checkState,
} from './checkup.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lazaret-doctor-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

describe('a check', () => {
  it('wants a Node that is new enough', () => {
    expect(checkNode('26.10.0').status).toBe('ok');
    expect(checkNode('20.20.2')).toMatchObject({
      status: 'fail',
      remedy: expect.stringContaining('Node 26'),
    });
  });

  it('wants room for the spool', async () => {
    expect(await checkSpool({ directory, bytes: 2 ** 50 })).toMatchObject({ status: 'fail' });
    expect(await checkSpool({ directory: join(directory, 'none'), bytes: 1 })).toMatchObject({
      status: 'fail',
    });
    expect((await checkSpool({ directory: '/dev/shm', bytes: 1 })).status).toBe('ok');
  });

  it('names each part that a real guest lacks', () => {
    const lacking = [{ what: 'a kernel', get: 'grow one' }] as const;
    expect(checkDemoGuest({ missing: [...lacking] })).toEqual([
      expect.objectContaining({ status: 'warn', remedy: 'grow one' }),
    ]);
  });

  it('wants the state directory private', async () => {
    expect(await checkState(directory)).toMatchObject({ status: 'ok' });
    await chmod(directory, 0o750);
    expect(await checkState(directory)).toMatchObject({ status: 'fail', remedy: `chmod 700 ${directory}` });
    expect(await checkState(join(directory, 'none'))).toMatchObject({ status: 'ok' });
  });

  it('says when KVM is not there, or cannot be tried', async () => {
    const device = join(directory, 'kvm');
    expect(await checkKvm(undefined, device)).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('cannot be opened'),
    });
    await writeFile(device, '');
    expect(await checkKvm(undefined, device)).toMatchObject({
      status: 'warn',
      remedy: expect.stringContaining('qemu'),
    });
    const none = { qemu: join(directory, 'none'), setpriv: join(directory, 'none') };
    expect(await checkKvm(none, device)).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('ENOENT'),
    });
  });

  it.each([
    ['exit 33', 'ok', 'a guest was run on it'],
    ['exit 1', 'warn', 'QEMU cannot run a guest on it'],
    ['kill -KILL $$', 'warn', 'a guest on it hangs'],
  ])('runs a guest to see whether KVM does (%s): %s', async (script, status, detail) => {
    const device = join(directory, 'kvm');
    await writeFile(device, '');
    vi.stubEnv('TMPDIR', directory);
    const setpriv = join(directory, 'setpriv');
    await writeFile(setpriv, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const check = await checkKvm({ qemu: 'qemu', setpriv }, device);
    expect(check).toMatchObject({ status, detail: expect.stringContaining(detail) });
    expect(check.remedy === undefined).toBe(status === 'ok');
    expect((await readdir(directory)).toSorted()).toEqual(['kvm', 'setpriv']);
  });

  it('waits for a guest that hangs no longer than its deadline, and ends it', async () => {
    const device = join(directory, 'kvm');
    await writeFile(device, '');
    const setpriv = join(directory, 'setpriv');
    const pid = join(directory, 'pid');
    await writeFile(setpriv, `#!/bin/sh\necho $$ > ${pid}\nexec sleep 600\n`, { mode: 0o755 });
    expect((await checkKvm({ qemu: 'qemu', setpriv }, device)).detail).toContain('hangs');
    const number = Number(await readFile(pid, 'utf8'));
    expect(() => process.kill(number, 0)).toThrow(expect.objectContaining({ code: 'ESRCH' }));
  });
});

describe('the journal', () => {
  const ID = 'b6f1c2de-3f4a-4b5c-8d6e-7f8091a2b3c4';

  const written = () => {
    const database = StateDatabase.open(directory);
    new ActionJournal(database).intent({
      id: ID,
      vm: 'vm',
      instructionSet: 'set',
      epoch: 1,
      expires: 2,
      intentAt: 1,
      instruction: {
        name: 'stop:process',
        target: { pid: 5, start: '1', executable: { dev: '1', ino: '1' } },
      },
    });
    database.close();
  };

  it('is whole, or not there yet', () => {
    expect(checkJournal(directory)).toMatchObject({ status: 'ok', detail: 'nothing written yet' });
    written();
    expect(checkJournal(directory)).toMatchObject({ status: 'ok', detail: 'the hash chain is whole' });
  });

  it('was edited', () => {
    written();
    const database = new DatabaseSync(join(directory, 'lazaret.db'));
    database.exec('UPDATE actions SET epoch = 7');
    database.close();
    expect(checkJournal(directory)).toMatchObject({ status: 'fail', detail: expect.stringContaining(ID) });
  });

  it('cannot be read', async () => {
    await writeFile(join(directory, 'lazaret.db'), 'this is no database, and longer than its header');
    expect(checkJournal(directory)).toMatchObject({ status: 'fail' });
  });
});

describe('the rows of the database', () => {
  const asked = { mode: 'detect', dryRun: false, trigger: 'manual' } as const;

  it('can all be read, or there are none yet', () => {
    expect(checkRows(directory)).toMatchObject({ status: 'ok', detail: 'nothing written yet' });
    const database = StateDatabase.open(directory);
    new ScanStore(database).begin({ id: 's', vm: 'v', startedAt: 1, ...asked });
    database.close();
    expect(checkRows(directory)).toMatchObject({ status: 'ok', detail: 'every row can be read' });
  });

  it('are counted where they cannot, and the first of them named', () => {
    const database = StateDatabase.open(directory);
    for (const id of 'abcde') new ScanStore(database).begin({ id, vm: 'v', startedAt: 1, ...asked });
    database.run(`UPDATE scans SET startedAt = 9223372036854775807 WHERE id <> 'a'`);
    database.close();
    const { status, detail } = checkRows(directory);
    expect(status).toBe('fail');
    expect(detail).toMatch(/^4 rows cannot be read and are left out: scans b \("startedAt".* and 1 more$/);
  });

  it('are not looked at in what is no database', async () => {
    await writeFile(join(directory, 'lazaret.db'), 'this is no database, and longer than its header');
    expect(checkRows(directory)).toMatchObject({ status: 'fail' });
  });
});
