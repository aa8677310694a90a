import { type Command, Option } from 'commander';
import type { Judgement } from '../api/index.ts';
import type { FindingFilter } from '../store/findings.ts';
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
  readonly scan?: string;
}

export function registerFindings(program: Command, context: Context): void {
  program
    .command('findings')
    .description('lists what was found, last seen first')
    .option('--vm <vm>', 'in this VM only, by its name or id')
    .option('--scan <id>', 'that this scan came to, and none after it')
    .addOption(
      new Option('--judgement <judgement>', 'of this judgement only').choices(['malicious', 'suspicious']),
    )
    .action(perform<FindingsOptions>(context, list));
}

async function list(run: Run<FindingsOptions>): Promise<number> {
  const { state: directory } = await run.settings();
  using state = State.read(directory);
  const { vm, judgement, scan } = run.options;
  const filter = {
    ...(vm !== undefined && { vm: findVm(state, vm).id }),
    ...(judgement && { judgement }),
    ...(scan !== undefined && { scan }),
  };
  const names = new Map(state?.vms.list().map(({ id, name }) => [id, name]));
  let first = true;
  for (const rows of state ? pagesOf(state, filter) : [[]]) {
    if (first || rows.length > 0) run.printRows(rows, columns(names), findingJson, 'nothing was found');
    first = false;
  }
  return EXIT.ok;
}

/** A table of so many rows each: its widths are those of its rows, and no more of them are held. */
const ROWS = 1_000;

function* pagesOf(state: State, filter: FindingFilter): Generator<readonly FindingRecord[]> {
  let before: string | undefined;
  do {
    const page = state.findings.page(filter, { limit: ROWS, ...(before !== undefined && { before }) });
    yield page.items;
    before = page.next;
  } while (before !== undefined);
}

const columns = (names: ReadonlyMap<string, string>): readonly Column<FindingRecord>[] => [
  { title: 'LAST SEEN', cell: ({ lastSeen }) => formatTime(lastSeen) },
  { title: 'VM', cell: ({ vm }) => harmless(names.get(vm) ?? vm), flexible: true },
  { title: 'JUDGEMENT', cell: ({ judgement }) => judgement, shade: judgementShade },
  { title: 'RESPONSE', cell: ({ response }) => response },
  { title: 'FOUND BY', cell: detectionsText, flexible: true },
  { title: 'WHAT', cell: ({ subject }) => subjectText(subject), flexible: true },
];
