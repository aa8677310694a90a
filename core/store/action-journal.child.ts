/** Run by action-journal.test.ts: a host that is killed at one step of its journal. */
import { ActionJournal, type Intent } from './action-journal.ts';
import { StateDatabase } from './database.ts';

const [directory = '', lastStep = '', intentText = ''] = process.argv.slice(2);
const intent = JSON.parse(intentText) as Intent;
const journal = new ActionJournal(StateDatabase.open(directory));

const dieAt = (step: string): void => {
  if (step === lastStep) process.kill(process.pid, 'SIGKILL');
};

dieAt('before-intent');
journal.intent(intent);
dieAt('after-intent');
journal.outcome(intent.id, { code: 'done' }, intent.intentAt + 1);
dieAt('after-outcome');
