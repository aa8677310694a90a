/** Run by execute.test.ts: a host that is killed at one step of a containment. */
import { appendFileSync } from 'node:fs';
import type { GuestSession } from '../channel/session.ts';
import { ActionJournal, type Intent } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import type { ActionRecord, RecordedOutcome, VmRecord } from '../store/records.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { ActionExecutor, type ActionRequest } from './execute.ts';
import { Vault } from './vault.ts';

const [directory = '', lastStep = '', requestText = '', settingText = ''] = process.argv.slice(2);
const request = JSON.parse(requestText) as ActionRequest;
const { vm, received } = JSON.parse(settingText) as { vm: VmRecord; received: string };

function reached(step: string): void {
  if (step === lastStep) process.kill(process.pid, 'SIGKILL');
}

class MortalJournal extends ActionJournal {
  override intent(intent: Intent): void {
    reached('vaulted');
    super.intent(intent);
    reached('intended');
  }

  override outcome(id: string, outcome: RecordedOutcome, at: number): ActionRecord {
    const closed = super.outcome(id, outcome, at);
    reached('closed');
    return closed;
  }
}

/** One line when a command arrives, one more when it was carried out. */
const session = {
  epoch: vm.epoch,
  async send(sealed) {
    appendFileSync(received, `${JSON.stringify(sealed)}\n`);
    reached('received');
    appendFileSync(received, `${JSON.stringify(sealed)}\n`);
    reached('carried-out');
    const state = { mode: 0o644, uid: 0, gid: 0, atime: '1.000000000', mtime: '1.000000000', xattrs: [] };
    return { code: 'done', state };
  },
} satisfies Partial<GuestSession> as unknown as GuestSession;

const database = StateDatabase.open(directory);
const vault = new Vault(directory, new VaultIndex(database));
const executor = new ActionExecutor({ journal: new MortalJournal(database), vault });
const instructionSet = { id: 'set-1', instructions: ['contain:file'] as const, withheld: [] };
await executor.perform({ vm, session, instructionSet }, request);
reached('settled');
