import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { INSTRUCTION_NAMES } from '../../protocol/index.ts';
import { lost, MemoryGuest } from '../../test/memory-guest.ts';
import type { FileChange, GuestReader, Patch } from '../api/index.ts';
import { ActionExecutor } from '../control/execute.ts';
import { Vault } from '../control/vault.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { PatchStore } from '../store/patches.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { PatchApplier } from './apply.ts';

let directory: string;
let database: StateDatabase;
let journal: ActionJournal;
let patches: PatchStore;
let applier: PatchApplier;
let guest: MemoryGuest;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-patch-'));
  database = StateDatabase.open(directory);
  journal = new ActionJournal(database);
  patches = new PatchStore(database);
  const vault = new Vault(directory, new VaultIndex(database));
  applier = new PatchApplier({ executor: new ActionExecutor({ journal, vault }), patches });
  guest = new MemoryGuest();
  guest.write('/etc/a', 'old a', 0o600);
  guest.write('/etc/b', 'old b', 0o644);
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

const WANTED = { '/etc/a': 'new a', '/etc/b': 'new b', '/etc/c': 'new c' };

/** Wants files to have given contents; `problems` are what it finds when it looks again. */
const patchOf = (
  wanted: Readonly<Record<string, string>> = WANTED,
  problems: (reader: GuestReader) => Promise<readonly string[]> = async () => [],
): Patch => ({
  id: 'files',
  title: 'Files',
  verify: problems,
  async plan(reader) {
    const changes: FileChange[] = [];
    for (const [path, text] of Object.entries(wanted)) {
      const before = await reader.readFile(path);
      const after = Buffer.from(text);
      if (!before?.content.equals(after)) changes.push({ path, before, after, mode: 0o640 });
    }
    return changes.length > 0 ? { state: 'applicable', changes } : { state: 'satisfied' };
  },
});

const texts = () => ['/etc/a', '/etc/b', '/etc/c'].map((path) => guest.text(path));
const expectUntouched = () => {
  expect(texts()).toEqual(['old a', 'old b', undefined]);
  expect(guest.files.get('/etc/a')).toMatchObject({ mode: 0o600 });
  expect(guest.files.get('/etc/b')).toMatchObject({ mode: 0o644 });
};

describe('a patch', () => {
  test('changes what is to be changed, journalled, and is satisfied afterwards', async () => {
    const report = await applier.apply(guest.connect(), patchOf());
    expect(report).toMatchObject({
      patch: 'files',
      state: 'applied',
      reasons: [],
      changes: [
        { path: '/etc/a', does: 'replace' },
        { path: '/etc/b', does: 'replace' },
        { path: '/etc/c', does: 'create' },
      ],
    });
    expect(texts()).toEqual(['new a', 'new b', 'new c']);
    expect(report.actions).toEqual(guest.received.map(({ id }) => id));
    for (const id of report.actions) expect(journal.get(id).outcome?.code).toBe('done');

    expect(await applier.apply(guest.connect(), patchOf())).toMatchObject({
      state: 'satisfied',
      actions: [],
    });
    expect(patches.list().map(({ state }) => state)).toEqual(
      expect.arrayContaining(['applied', 'satisfied']),
    );
  });

  test('run dry says what it would do and does nothing', async () => {
    const report = await applier.apply(guest.connect(), patchOf(), { dryRun: true });
    expect(report).toMatchObject({ state: 'applicable', actions: [] });
    expect(report.changes).toHaveLength(3);
    expectUntouched();
    expect(guest.received).toEqual([]);
    expect(patches.list()).toEqual([]);
  });

  test('that refuses by itself says why', async () => {
    const refusing: Patch = {
      ...patchOf(),
      plan: async () => ({ state: 'refused', reason: 'not as expected' }),
    };
    expect(await applier.apply(guest.connect(), refusing)).toMatchObject({
      state: 'refused',
      reasons: ['not as expected'],
    });
    expect(patches.list()).toMatchObject([{ state: 'refused', reasons: ['not as expected'] }]);
  });

  test('is refused before anything is changed where update:file is not granted', async () => {
    const connected = guest.connect(INSTRUCTION_NAMES.filter((name) => name !== 'update:file'));
    const report = await applier.apply(connected, patchOf());
    expect(report).toMatchObject({ state: 'refused', actions: [] });
    expect(report.reasons[0]).toContain('update:file');
    expectUntouched();
  });

  test('is refused where it could not be undone: a protected file that it would create', async () => {
    const report = await applier.apply(guest.connect(), patchOf({ '/etc/a': 'new', '/etc/pam.d/x': 'new' }));
    expect(report).toMatchObject({ state: 'refused', reasons: [expect.stringContaining('/etc/pam.d/x')] });
    expectUntouched();
  });
});

describe('a patch is rolled back, last change first, with modes', () => {
  test('when its verification finds a problem', async () => {
    const report = await applier.apply(
      guest.connect(),
      patchOf(WANTED, async (reader) => {
        expect((await reader.readFile('/etc/c'))?.content.toString()).toBe('new c');
        return ['PermitRootLogin is yes'];
      }),
    );
    expect(report).toMatchObject({ state: 'rolled-back', reasons: ['PermitRootLogin is yes'] });
    expectUntouched();
    expect(report.actions).toHaveLength(6);
    const paths = guest.received.map(({ instruction: { target } }) => 'path' in target && target.path);
    expect(paths).toEqual(['/etc/a', '/etc/b', '/etc/c', '/etc/c', '/etc/b', '/etc/a']);
    for (const { id } of guest.received) expect(journal.get(id).outcome?.code).toBe('done');
    expect(patches.list()).toMatchObject([{ state: 'rolled-back', actions: report.actions }]);
  });

  test('when its verification fails', async () => {
    const failing = async () => {
      throw new Error('cannot look');
    };
    expect(await applier.apply(guest.connect(), patchOf(WANTED, failing))).toMatchObject({
      state: 'rolled-back',
      reasons: ['cannot look'],
    });
    expectUntouched();
  });

  test('when the guest refuses a change in the middle', async () => {
    guest.before = ({ instruction: { target } }) => {
      if ('path' in target && target.path === '/etc/b' && guest.received.length === 2)
        guest.write('/etc/b', 'old b, edited meanwhile');
    };
    const report = await applier.apply(guest.connect(), patchOf());
    expect(report).toMatchObject({
      state: 'rolled-back',
      reasons: ['/etc/b was not changed: changed'],
    });
    expect(texts()).toEqual(['old a', 'old b, edited meanwhile', undefined]);
  });

  test('when it is aborted in the middle', async () => {
    const abort = new AbortController();
    guest.after = () => abort.abort(new Error('the operator stopped it'));
    const report = await applier.apply(guest.connect(), patchOf(), { signal: abort.signal });
    expect(report).toMatchObject({ state: 'rolled-back', reasons: ['the operator stopped it'] });
    expectUntouched();
  });
});

describe('a roll-back that fails says which file is not as it was', () => {
  test('since somebody changed it meanwhile', async () => {
    const report = await applier.apply(
      guest.connect(),
      patchOf(WANTED, async () => {
        guest.write('/etc/b', 'changed by somebody');
        return ['a problem'];
      }),
    );
    expect(report).toMatchObject({
      state: 'rollback-failed',
      reasons: ['a problem', '/etc/b was not put back: changed'],
    });
    expect(texts()).toEqual(['old a', 'changed by somebody', undefined]);
  });

  test('since the guest says that it is done and it is not', async () => {
    guest.before = ({ id }) => {
      if (guest.received.length === 5) guest.outcomes.set(id, { code: 'done' });
    };
    const report = await applier.apply(
      guest.connect(),
      patchOf(WANTED, async () => ['a problem']),
    );
    expect(report).toMatchObject({
      state: 'rollback-failed',
      reasons: ['a problem', '/etc/b was not put back: its content is not what it was'],
    });
    expect(texts()).toEqual(['old a', 'new b', undefined]);
  });

  test('since the channel was lost', async () => {
    guest.after = ({ instruction: { target } }) => {
      if ('path' in target && target.path === '/etc/b') {
        guest.before = lost;
        lost();
      }
    };
    const report = await applier.apply(guest.connect(), patchOf());
    expect(report.state).toBe('rollback-failed');
    expect(report.reasons.join('\n')).toMatch(/\/etc\/b was not put back[\s\S]*\/etc\/a was not put back/);
    expect(journal.open(guest.connect().vm.id)).not.toEqual([]);
  });
});
