/** `lazaret vm history`: what was done to VMs as a whole, who had it done, and what came of it. */
import type { Command } from 'commander';
import type { Requester, VmActionRecord } from '../store/records.ts';
import { EXIT } from './exit.ts';
import { formatTime } from './format.ts';
import { type Context, perform, type Run } from './run.ts';
import { State } from './state.ts';
import type { Column } from './table.ts';
import { harmless } from './text.ts';
import { findVm } from './vm.ts';

/** The newest; the API has the others, page by page. */
const SHOWN = 500;

export function registerVmHistory(vm: Command, context: Context): void {
  vm.command('history')
    .description(`shows what was done to VMs: started, paused, reverted and so on; the last ${SHOWN}`)
    .argument('[vm]', 'of this VM only, by its name or id')
    .action(perform(context, (run) => history(run)));
}

async function history(run: Run): Promise<number> {
  const { state: directory } = await run.settings();
  using state = State.read(directory);
  const [vm] = run.args;
  const filter = vm === undefined ? {} : { vm: findVm(state, vm).id };
  const records = state?.vmActions.page(filter, { limit: SHOWN }).items ?? [];
  const names = new Map(state?.vms.list().map(({ id, name }) => [id, name]));
  run.printRows(records, columns(names), (record) => record, 'nothing was done to a VM yet');
  return EXIT.ok;
}

const columns = (names: ReadonlyMap<string, string>): readonly Column<VmActionRecord>[] => [
  { title: 'AT', cell: ({ intentAt }) => formatTime(intentAt) },
  { title: 'VM', cell: ({ vm }) => harmless(names.get(vm) ?? vm), flexible: true },
  { title: 'ACTION', cell: ({ action, snapshot }) => harmless([action, snapshot].filter(Boolean).join(' ')) },
  { title: 'BY', cell: ({ requester }) => harmless(requesterText(requester)), flexible: true },
  { title: 'OUTCOME', cell: ({ outcome }) => harmless(outcomeText(outcome)), flexible: true },
];

const requesterText = (requester: Requester): string =>
  requester.kind === 'api'
    ? `${requester.name} (${requester.role})`
    : `policy ${requester.rule} (scan ${requester.scan})`;

const outcomeText = (outcome: VmActionRecord['outcome']): string =>
  outcome ? [outcome.code, outcome.detail].filter(Boolean).join(': ') : 'open';
