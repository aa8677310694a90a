/** What `lazaret doctor` says of packs: each that is in use, and until when. */
import { join } from 'node:path';
import type { Settings } from '../config/index.ts';
import { PackShelf } from '../pack/shelf.ts';
import { readStarter } from '../pack/starter.ts';
import type { Check } from './checkup.ts';
import { State } from './state.ts';

/** Rejects with StoreError when the state cannot be read. */
export async function checkPacks(
  { state: directory, packs: { trusted, starter } }: Pick<Settings, 'state' | 'packs'>,
  now: number,
): Promise<Check[]> {
  using state = State.read(directory);
  const shelf = new PackShelf(join(directory, 'packs'), trusted);
  const checks = (state?.packs.list() ?? []).map(async (record): Promise<Check> => {
    const { vendor, id, active } = record;
    const name = `pack ${vendor}/${id}`;
    const { problems } = await shelf.activate(record, now);
    const [problem] = problems;
    if (problem === undefined)
      return { name, status: 'ok', detail: `${active.version}, until ${active.expires}` };
    return { name, status: 'warn', detail: problem.message };
  });
  return [await checkStarter(starter), ...(await Promise.all(checks))];
}

async function checkStarter(isUsed: boolean): Promise<Check> {
  const name = 'starter pack';
  if (!isUsed) return { name, status: 'ok', detail: 'switched off (packs.starter)' };
  const { record, problems } = await readStarter();
  if (record) return { name, status: 'ok', detail: `${record.active.version}, comes with Lazaret` };
  return { name, status: 'fail', detail: problems[0]?.message ?? '', remedy: 'install Lazaret again' };
}
