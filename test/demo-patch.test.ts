/** The bundle that the demo applies, against the file that the demo plants. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ActionExecutor } from '../core/control/execute.ts';
import { Vault } from '../core/control/vault.ts';
import { PatchApplier } from '../core/patch/apply.ts';
import { ActionJournal } from '../core/store/action-journal.ts';
import { StateDatabase } from '../core/store/database.ts';
import { PatchStore } from '../core/store/patches.ts';
import { VaultIndex } from '../core/store/vault-index.ts';
import { packageRoot } from '../demo/package-root.ts';
import { DEMO_PATCH } from '../demo/stage.ts';
import filePolicy from '../plugins/patches/file-policy/index.ts';
import { setUp } from './conformance/set-up.ts';
import { MemoryGuest } from './memory-guest.ts';

const SSHD = '/etc/ssh/sshd_config';
const planted = readFileSync(join(packageRoot, 'demo', 'files', SSHD), 'utf8');

let directory: string;
let database: StateDatabase;
let applier: PatchApplier;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-demo-patch-'));
  database = StateDatabase.open(directory);
  const vault = new Vault(directory, new VaultIndex(database));
  const executor = new ActionExecutor({ journal: new ActionJournal(database), vault });
  applier = new PatchApplier({ executor, patches: new PatchStore(database) });
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

async function demoPatch() {
  const patch = await (await setUp(filePolicy)).load(DEMO_PATCH);
  if (!patch) throw new Error(`${DEMO_PATCH} is not of the kind that file-policy reads`);
  return patch;
}

it('hardens what was planted, and is satisfied afterwards', async () => {
  const guest = new MemoryGuest();
  guest.write(SSHD, planted, 0o644);
  expect(await applier.apply(guest.connect(), await demoPatch())).toMatchObject({
    state: 'applied',
    reasons: [],
  });
  const hardened = guest.text(SSHD)?.split('\n') ?? [];
  expect(hardened).toEqual(expect.arrayContaining(['PermitRootLogin no', 'PermitEmptyPasswords no']));
  const kept = (line: string) => /^(#|Port|Subsystem)/.test(line);
  expect(hardened.filter(kept)).toEqual(planted.split('\n').filter(kept));
  expect(await applier.apply(guest.connect(), await demoPatch())).toMatchObject({ state: 'satisfied' });
});

it('is refused where another sshd configuration stands', async () => {
  const guest = new MemoryGuest();
  guest.write(SSHD, `${planted}AllowUsers root\n`);
  expect(await applier.apply(guest.connect(), await demoPatch())).toMatchObject({
    state: 'refused',
    actions: [],
  });
  expect(guest.received).toEqual([]);
});
