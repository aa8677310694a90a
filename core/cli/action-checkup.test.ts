import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { vm } from '../../test/records.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import type { RecordedOutcome, VaultRecord } from '../store/records.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { VmStore } from '../store/vms.ts';
import { checkActions } from './action-checkup.ts';

const NOW = Date.UTC(2026, 11, 1);
const DAY = 86_400_000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-actions-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

interface Done {
  readonly outcome?: RecordedOutcome;
  readonly at?: number;
  readonly vault?: VaultRecord['status'];
}

/** Writes containments down as an engine does; gives their ids, which are those of the vault too. */
function written(...actions: Done[]): string[] {
  using stack = new DisposableStack();
  const database = stack.adopt(StateDatabase.open(directory), (one) => one.close());
  new VmStore(database).save(vm());
  const journal = new ActionJournal(database);
  return actions.map(({ outcome, at = NOW, vault }) => {
    const id = randomUUID();
    const target = { path: `/tmp/${id}\n`, dev: '1', ino: '2', sha256: 'a'.repeat(64) };
    const common = { id, vm: vm().id, instructionSet: 'set', epoch: 1, expires: at, intentAt: at };
    journal.intent({ ...common, instruction: { name: 'contain:file', target } });
    if (outcome) journal.outcome(id, outcome, at);
    const { path, sha256 } = target;
    const record = { id, vm: vm().id, action: id, path, sha256, size: 1, at };
    if (vault) new VaultIndex(database).save({ ...record, status: vault });
    return id;
  });
}

const UNKNOWN = { code: 'unknown', detail: 'asked three times' } as const;

describe('actions', () => {
  it('of which it is known what came are well', () => {
    expect(checkActions(directory, NOW)).toMatchObject([{ status: 'ok' }]);
    written({ outcome: { code: 'done' }, vault: 'held' }, { outcome: { code: 'failed' } });
    expect(checkActions(directory, NOW)).toMatchObject([{ name: 'actions', status: 'ok' }]);
  });

  it('that are open are named, each once', () => {
    const [id] = written({ vault: 'arriving' });
    const [check, ...others] = checkActions(directory, NOW);
    expect(others).toEqual([]);
    expect(check).toMatchObject({ name: 'actions', status: 'warn' });
    expect(check?.detail).toContain(`contain:file of /tmp/${id}\\x0a in web-1`);
  });

  it('that were given up are named as long as the file lies in quarantine, or for a month', () => {
    const [held] = written(
      { outcome: UNKNOWN, at: NOW - 400 * DAY, vault: 'held' },
      { outcome: UNKNOWN, at: NOW - 400 * DAY, vault: 'restored' },
      { outcome: UNKNOWN, at: NOW - 20 * DAY },
    );
    expect(checkActions(directory, NOW)).toMatchObject([
      { status: 'warn', remedy: expect.stringContaining(`purge ${held}`) },
      { status: 'warn', remedy: 'look into that VM' },
    ]);
  });

  it('that a crash left before they began leave a file in quarantine, which is named', () => {
    const [id] = written({ outcome: { code: 'done' }, vault: 'arriving' });
    expect(checkActions(directory, NOW)).toMatchObject([
      { name: 'quarantine', status: 'warn', remedy: expect.stringContaining(`purge ${id}`) },
    ]);
  });

  it('are counted from the eleventh on', () => {
    written(...Array<Done>(14).fill({ outcome: UNKNOWN }));
    const checks = checkActions(directory, NOW);
    expect(checks).toHaveLength(11);
    expect(checks.at(-1)?.detail).toBe('and 4 more');
  });

  it('that cannot be read fail the check', () => {
    writeFileSync(join(directory, 'lazaret.db'), 'not a database');
    expect(checkActions(directory, NOW)).toMatchObject([{ status: 'fail' }]);
  });
});
