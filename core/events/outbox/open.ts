/**
 * A spool that is damaged must not keep the host from being protected: it is put aside under another name, and a new
 * one made. What was in it and not delivered has not reached the sinks; findings and actions are in the state database
 * all the same.
 */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../../api/index.ts';
import { StoreError } from '../../error.ts';
import { OutboxStore } from './store.ts';

export function openStore(directory: string, logger: Logger, now: number): OutboxStore {
  try {
    return told(OutboxStore.open(directory), logger);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error;
    const aside = putAside(directory, now);
    logger.warn(
      'the event spool was damaged: a new one is used, and events of the old one may not have been delivered',
      {
        aside,
        reason: error.message,
      },
    );
    return OutboxStore.open(directory);
  }
}

function told(store: OutboxStore, logger: Logger): OutboxStore {
  const { dropped, path } = store;
  if (dropped > 0)
    logger.warn(
      'events in the spool cannot be read, and are not delivered: what was found and done is in the database',
      { dropped, path },
    );
  return store;
}

function putAside(directory: string, now: number): string {
  const from = join(directory, 'outbox.db');
  const aside = `${from}.damaged-${now}`;
  for (const suffix of ['-wal', '-shm', '']) {
    if (existsSync(from + suffix)) renameSync(from + suffix, aside + suffix);
  }
  return aside;
}
