/** Actions of which it is not known what came of them, and files in quarantine that wait for that. */
import type { ActionRecord, VaultRecord } from '../store/records.ts';
import type { Check } from './checkup.ts';
import { formatTime } from './format.ts';
import { State } from './state.ts';
import { displayWire } from './text.ts';

/** One that was given up is named for so long, or as long as what it was about lies in quarantine. */
const NAMED_MS = 30 * 86_400_000;
/** The rest is counted. */
const MOST_NAMED = 10;

export function checkActions(directory: string, now: number): Check[] {
  const name = 'actions';
  try {
    using state = State.read(directory);
    if (!state) return [{ name, status: 'ok', detail: 'nothing was done yet' }];
    const checks = [...openActions(state), ...unknownActions(state, now), ...unsettledFiles(state)];
    if (checks.length > 0) return shortened(name, checks);
    return [{ name, status: 'ok', detail: 'it is known what came of each' }];
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return [{ name, status: 'fail', detail, remedy: 'restore the state directory from a backup' }];
  }
}

const openActions = (state: State): Check[] =>
  state.journal.open().map((action) => ({
    name: 'actions',
    status: 'warn',
    detail: `${textOf(state, action)}: its guest has not told what came of it`,
    remedy: 'connect that VM and scan it: it is asked again',
  }));

function unknownActions(state: State, now: number): Check[] {
  const entryOf = new Map(state.vault.list({ status: 'held' }).map((record) => [record.action, record.id]));
  return state.journal
    .unknown(0)
    .filter(({ id, outcomeAt = 0 }) => entryOf.has(id) || outcomeAt >= now - NAMED_MS)
    .map((action) => ({
      name: 'actions',
      status: 'warn',
      detail: `${textOf(state, action)}: it is not known what came of it`,
      remedy: remedyFor(entryOf.get(action.id)),
    }));
}

const remedyFor = (entry: string | undefined): string =>
  entry === undefined
    ? 'look into that VM'
    : `look into that VM; lazaret quarantine restore, export or purge ${entry}`;

/** Those whose action is open are named with it. */
function unsettledFiles(state: State): Check[] {
  const open = new Set(state.journal.open().map(({ id }) => id));
  return state.vault
    .list({ status: 'arriving' })
    .filter(({ action }) => !open.has(action))
    .map((record) => ({
      name: 'quarantine',
      status: 'warn',
      detail: `${record.id} (${whereFrom(state, record)}) was being contained when Lazaret was stopped`,
      remedy: `scan that VM, which settles it; or lazaret quarantine export or purge ${record.id}`,
    }));
}

function textOf(state: State, { vm, instruction, intentAt }: ActionRecord): string {
  const { target } = instruction;
  const what = 'path' in target ? displayWire(target.path) : `process ${target.pid}`;
  return `${instruction.name} of ${what} in ${nameOf(state, vm)}, ${formatTime(intentAt)}`;
}

const whereFrom = (state: State, { vm, path }: VaultRecord): string =>
  `${displayWire(path)} of ${nameOf(state, vm)}`;

const nameOf = (state: State, vm: string): string => state.vms.find(vm)?.name ?? vm;

function shortened(name: string, checks: readonly Check[]): Check[] {
  const more = checks.length - MOST_NAMED;
  if (more <= 0) return [...checks];
  return [...checks.slice(0, MOST_NAMED), { name, status: 'warn', detail: `and ${more} more` }];
}
