/** Accepts and delivers events without end, and says each one that was accepted; for tests that kill it. */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileOutlet } from '../outlets/file.ts';
import { Outbox } from './outbox.ts';

const [, , directory = '', run = '', delivering = ''] = process.argv;
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const outbox = new Outbox({
  directory,
  bytes: 2 ** 26,
  outlets: [fileOutlet({ path: join(directory, 'events.ndjson'), maxBytes: 2 ** 30, keep: 1 })],
  logger: silent,
});
if (delivering === 'deliver') outbox.start();

for (let turn = 0; ; turn++) {
  const uids = Array.from({ length: 5 }, (_, index) => `${run}-${turn * 5 + index}`);
  await Promise.all(
    uids.map((uid) => outbox.emit({ class_uid: 6007, activity_id: 1, time: 1, metadata: { uid } })),
  );
  writeSync(1, uids.map((uid) => `${uid}\n`).join(''));
}
