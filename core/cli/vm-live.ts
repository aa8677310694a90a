/** What only a running daemon knows of the VMs: their power, their connection, their next scan. */
import type { VmView } from '../service/views.ts';
import { EXIT } from './exit.ts';
import { formatTime } from './format.ts';
import type { Run } from './run.ts';
import type { Paint, Shade } from './style.ts';
import type { Column } from './table.ts';
import { harmless } from './text.ts';
import { type Fact, section } from './vm-page.ts';

const SHADES: Readonly<Record<VmView['connection']['state'], Shade>> = {
  connected: 'good',
  connecting: 'faint',
  waiting: 'faint',
  refused: 'bad',
  suspended: 'bad',
};

const COLUMNS: readonly Column<VmView>[] = [
  { title: 'NAME', cell: ({ name }) => harmless(name), flexible: true },
  { title: 'GROUP', cell: ({ group }) => harmless(group) },
  { title: 'POWER', cell: ({ power }) => power },
  {
    title: 'CONNECTION',
    cell: connectionText,
    shade: ({ connection, suspended }) => (suspended ? 'bad' : SHADES[connection.state]),
  },
  { title: 'LAST SEEN', cell: ({ lastSeen }) => timeText(lastSeen, 'never') },
  { title: 'NEXT SCAN', cell: ({ nextScan }) => timeText(nextScan, '-') },
  { title: 'SYSTEM', cell: ({ system }) => harmless(system ?? '-'), flexible: true },
  { title: 'ID', cell: ({ id }) => harmless(id) },
];

/** Nothing is done to a suspended one, whether or not it is connected at the moment. */
function connectionText({ connection, suspended }: VmView): string {
  return suspended && connection.state !== 'suspended' ? `${connection.state}, suspended` : connection.state;
}

const timeText = (time: number | undefined, otherwise: string): string =>
  time === undefined ? otherwise : formatTime(time);

export function listLive(run: Run, vms: readonly VmView[]): number {
  run.printRows(
    vms,
    COLUMNS,
    (vm) => vm,
    'no VM yet: list them under "vms" in the configuration of the daemon',
  );
  return EXIT.ok;
}

/** A VM that was never met. */
export function showLive(run: Run, vm: VmView): number {
  if (run.json) run.printJson(vm);
  else run.io.stdout.write(renderLive(vm, run.io.stdout.columns, run.paint));
  return EXIT.ok;
}

/** Besides what its record has. */
export const liveJson = ({ group, power, channel, connection, lastScan, nextScan }: VmView): object => ({
  ...{ group, power, channel, connection },
  ...(lastScan && { lastScan }),
  ...(nextScan !== undefined && { nextScan }),
});

export function renderLive(vm: VmView, width: number, paint: Paint): string {
  const { connection, lastScan } = vm;
  const why = connection.error ? `: ${connection.error.message} (${connection.error.code})` : '';
  const rows: readonly Fact[] = [
    ['id', vm.id],
    ['group', vm.group],
    ['power', vm.power],
    ['channel', vm.channel],
    ['connection', `${connection.state} since ${formatTime(connection.since)}${why}`],
    ['last scan', lastScan ? `${lastScan.state} ${timeText(lastScan.finishedAt, '')}`.trim() : 'none'],
    ['next scan', timeText(vm.nextScan, 'none is planned')],
  ];
  return section(`${harmless(vm.name)} now`, rows, width, paint);
}
