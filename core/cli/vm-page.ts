/** One VM for people. All of it but the instruction names was said by the guest. */
import { INSTRUCTIONS, type InstructionName } from '../../protocol/index.ts';
import type { InstructionSet } from '../capability/instruction-set.ts';
import type { VmRecord } from '../store/records.ts';
import { formatBytes, formatTime } from './format.ts';
import type { Paint } from './style.ts';
import { type Column, renderTable } from './table.ts';
import { displayWire, harmless, pad, shorten } from './text.ts';

const LABEL = 14;

export function renderVm(vm: VmRecord, width: number, paint: Paint): string {
  const sections = [
    section(harmless(vm.name), identity(vm), width, paint),
    vm.features
      ? section('Capabilities', capabilities(vm.features), width, paint)
      : 'Not negotiated yet: lazaret scan does.\n',
    vm.instructionSet ? instructionTable(vm.instructionSet, width, paint) : '',
    vm.instructionSet ? withheldTable(vm.instructionSet, width, paint) : '',
  ];
  return sections.filter(Boolean).join('\n');
}

export type Fact = readonly [label: string, value: string];

export const section = (title: string, rows: readonly Fact[], width: number, paint: Paint): string =>
  `${paint('strong', title)}\n${rows.map(([label, value]) => fact(label, value, width)).join('')}`;

const fact = (label: string, value: string, width: number): string =>
  `  ${pad(label, LABEL)}${shorten(harmless(value), Math.max(20, width - LABEL - 2))}\n`;

function identity(vm: VmRecord): Fact[] {
  const { id, socket, agentKey, login, epoch, enrolledAt, lastSeen } = vm;
  return [
    ['id', id],
    ['socket', socket],
    ['agent', `${login.agent.version}, ${login.agent.id}`],
    ['agent key', `${agentKey} (SHA-256, pinned ${formatTime(enrolledAt)})`],
    ['SMBIOS UUID', login.smbiosUuid ?? 'none reported'],
    ['machine id', login.machineId ?? 'none reported'],
    ['boot id', login.bootId],
    ['epoch', String(epoch)],
    ['last seen', formatTime(lastSeen)],
    ...enrolmentFacts(vm),
  ];
}

function* enrolmentFacts({ suspended, resetAt }: VmRecord): Generator<Fact> {
  if (suspended) yield ['suspended', `${formatTime(suspended.at)}: ${suspended.reason}`];
  if (resetAt !== undefined)
    yield ['key forgotten', `${formatTime(resetAt)}: it is enrolled anew when it logs in`];
}

/** A node of containers has hundreds of them; `--json` has all. */
const NAMED_MOUNTS = 32;

function capabilities(features: NonNullable<VmRecord['features']>): Fact[] {
  const { os, init, packageManager, privileges, fileSystems, denied, limits } = features['x-lazaret'];
  const mounts = fileSystems.slice(0, NAMED_MOUNTS).map(({ path, type }) => `${displayWire(path)} (${type})`);
  const more = fileSystems.length - mounts.length + (features['x-lazaret'].moreFileSystems ?? 0);
  if (more > 0) mounts.push(`and ${more} more`);
  return [
    ['system', `${os.name} (${[os.id, os.version].filter(Boolean).join(' ')})`],
    ['kernel', `${os.kernel} ${os.arch}`],
    ['init', init],
    ['packages', packageManager ?? 'no package manager'],
    [
      'runs as',
      privileges.root ? 'root' : `user ${privileges.uid}: not everything can be read or acted upon`,
    ],
    ['file systems', mounts.join(', ') || 'none reported'],
    [
      'offers',
      Object.entries(features.pairs)
        .flatMap(([action, targets]) => targets.map((target) => `${action}:${target}`))
        .join(', '),
    ],
    ['denied there', denied.join(', ') || 'nothing'],
    ['takes', `${formatBytes(limits.stagedBytes)} staged, ${limits.contentFiles} files a request`],
  ];
}

const INSTRUCTION_COLUMNS: readonly Column<InstructionName>[] = [
  { title: 'INSTRUCTION', cell: (name) => name },
  { title: 'D3FEND', cell: (name) => INSTRUCTIONS[name].d3fend ?? '-' },
  { title: 'WHAT IT DOES', cell: (name) => INSTRUCTIONS[name].does, flexible: true },
];

function instructionTable({ id, instructions }: InstructionSet, width: number, paint: Paint): string {
  const title = `${paint('strong', 'Instruction set')} ${harmless(id)}\n`;
  return title + renderTable(INSTRUCTION_COLUMNS, instructions, width, paint);
}

type Withheld = InstructionSet['withheld'][number];

const REASONS: Readonly<Record<Withheld['reason'], string>> = {
  'not-offered': 'its agent does not offer it',
  'denied-by-guest': "the guest's administrator denies it",
  'denied-by-policy': 'policy.allow leaves it out',
};

const WITHHELD_COLUMNS: readonly Column<Withheld>[] = [
  { title: 'WITHHELD', cell: ({ instruction }) => instruction },
  { title: 'D3FEND', cell: ({ instruction }) => INSTRUCTIONS[instruction].d3fend ?? '-' },
  { title: 'WHY', cell: ({ reason }) => `${REASONS[reason]} (${reason})`, flexible: true },
];

const withheldTable = ({ withheld }: InstructionSet, width: number, paint: Paint): string =>
  withheld.length === 0 ? '' : renderTable(WITHHELD_COLUMNS, withheld, width, paint);
