/** Takes the content of a file in quarantine out of the vault, without its guest: for evidence, or where the guest is gone. */
import { constants, type FileHandle, open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { writeSparse } from '../control/sparse.ts';
import { Vault } from '../control/vault.ts';
import { StoreError } from '../error.ts';
import { toStoreError } from '../store/sqlite-error.ts';
import { UsageError } from './error.ts';
import { EXIT } from './exit.ts';
import type { Run } from './run.ts';
import { State } from './state.ts';
import { harmless } from './text.ts';

/** Of the owner alone, and nothing to be run by accident. */
const ONLY_US = 0o600;

/** Reads the state directory itself, whoever else works on it; nothing in it is changed. */
export async function exportContent(run: Run): Promise<number> {
  const [id = '', given = ''] = run.args;
  const { state: directory } = await run.settings();
  using state = State.read(directory);
  if (!state) throw new StoreError('not-found', 'quarantine is empty');
  const vault = new Vault(directory, state.vault);
  const file = resolve(given);
  vault.get(id);
  await write(vault.open(id), file);
  if (run.json) run.printJson({ id, file });
  else run.print(`exported ${harmless(id)} to ${harmless(file)}: it is malware, as it was in its VM`);
  return EXIT.ok;
}

/** Nothing is overwritten, and nothing that did not come whole is left. Throws StoreError or UsageError. */
async function write(content: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  const target = await create(file);
  try {
    await using opened = target;
    await writeSparse(opened, content);
    await opened.sync();
  } catch (error) {
    await rm(file, { force: true });
    throw toStoreError(error, file);
  }
}

async function create(file: string): Promise<FileHandle> {
  try {
    return await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, ONLY_US);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
      throw new UsageError(`${file} is there already, and nothing is overwritten: name another file`);
    }
    throw toStoreError(cause, file);
  }
}
