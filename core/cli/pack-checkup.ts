/** What `lazaret doctor` says of packs: each that is in use, and until when. */
import { join } from 'node:path';
import type { Settings } from '../config/index.ts';
import { PackShelf } from '../pack/shelf.ts';
import type { Check } from './checkup.ts';
import { State } from './state.ts';

/** Nothing when no pack is installed. Rejects with StoreError when the state cannot be read. */
export async function checkPacks(
  { state: directory, packs: { trusted } }: Pick<Settings, 'state' | 'packs'>,
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
    return { name, status: 'warn', detail: problem.message, remedy: 'lazaret pack install a newer release' };
  });
  return Promise.all(checks);
}
