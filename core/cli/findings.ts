import { type Command, Option } from 'commander';
import type { Judgement } from '../api/index.ts';
import type { FindingRecord } from '../store/records.ts';
import { EXIT } from './exit.ts';
import { formatTime } from './format.ts';
import { type Context, perform, type Run } from './run.ts';
import { State } from './state.ts';
import { detectionsText, findingJson, judgementShade, subjectText } from './subject.ts';
import type { Column } from './table.ts';
import { harmless } from './text.ts';
import { findVm } from './vm.ts';

interface FindingsOptions {
  readonly vm?: string;
  readonly judgement?: Judgement;
}

export function registerFindings(program: Command, context: Context): void {
  program
    .command('findings')
    .description('lists what was found, last seen first')
    .option('--vm <vm>', 'in this VM only, by its name or id')
    .addOption(
      new Option('--judgement <judgement>', 'of this judgement only').choices(['malicious', 'suspicious']),
    )
    .action(perform<FindingsOptions>(context, list));
}

async function list(run: Run<FindingsOptions>): Promise<number> {
  const { state: directory } = await run.settings();
  using state = State.read(directory);
  const { vm, judgement } = run.options;
  const filter = { ...(vm !== undefined && { vm: findVm(state, vm).id }), ...(judgement && { judgement }) };
  const names = new Map(state?.vms.list().map(({ id, name }) => [id, name]));
  run.printRows(state?.findings.list(filter) ?? [], columns(names), findingJson, 'nothing was found');
  return EXIT.ok;
}

const columns = (names: ReadonlyMap<string, string>): readonly Column<FindingRecord>[] => [
  { title: 'LAST SEEN', cell: ({ lastSeen }) => formatTime(lastSeen) },
  { title: 'VM', cell: ({ vm }) => harmless(names.get(vm) ?? vm), flexible: true },
  { title: 'JUDGEMENT', cell: ({ judgement }) => judgement, shade: judgementShade },
  { title: 'RESPONSE', cell: ({ response }) => response },
  { title: 'FOUND BY', cell: detectionsText, flexible: true },
  { title: 'WHAT', cell: ({ subject }) => subjectText(subject) + namesShort(subject), flexible: true },
];

/** ` (1 of 2 names found)`, where some were not. */
function namesShort(subject: FindingRecord['subject']): string {
  if (subject.kind !== 'file' || subject.names === undefined) return '';
  const { all, found } = subject.names;
  if (found === undefined) return ` (${all} names)`;
  return found < all ? ` (${found} of ${all} names found)` : '';
}
