import { type Command, Option } from 'commander';
import { duration } from '../config/quantity.ts';
import { EnrolmentDesk } from '../enrolment/desk.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import { StateDatabase } from '../store/database.ts';
import { EnrolmentStore } from '../store/enrolments.ts';
import type { PendingGuest } from '../store/records.ts';
import { VmStore } from '../store/vms.ts';
import { handInWays, renderWays } from './enrol-ways.ts';
import { UsageError } from './error.ts';
import { EXIT } from './exit.ts';
import { formatTime } from './format.ts';
import { type Context, perform, type Run } from './run.ts';
import { State } from './state.ts';
import type { Column } from './table.ts';
import { harmless } from './text.ts';

interface EnrolOptions {
  readonly pending?: boolean;
  readonly accept?: string;
  readonly reset?: boolean;
  readonly expires?: string;
}

export function registerEnrol(program: Command, context: Context): void {
  program
    .command('enrol')
    .description('makes a one-time token with which a VM is enrolled, and says how to hand it in')
    .argument('[vm]', 'its name or id')
    .option('--expires <time>', 'how long the token is good, such as 30min or 48h (default: 24h)')
    .addOption(new Option('--pending', 'list the guests that logged in and were not let in'))
    .addOption(
      new Option('--accept <fingerprint>', "pin this key of the VM's agent").conflicts(['pending', 'reset']),
    )
    .addOption(new Option('--reset', "forget the key of the VM's agent").conflicts(['pending', 'expires']))
    .action(perform(context, enrol));
}

async function enrol(run: Run<EnrolOptions>): Promise<number> {
  const { pending, accept, reset, expires } = run.options;
  const [name] = run.args;
  if (pending) return listPending(run);
  if (name === undefined) throw new UsageError('name a VM, or list those that wait with --pending');
  const lifetime = expires === undefined ? undefined : readLifetime(expires);
  if (accept !== undefined && lifetime !== undefined)
    throw new UsageError('--expires goes with a new token only');
  const { state, vms } = await run.settings();
  const vm = chooseVm(name, await everyVm(vms, state));
  const database = StateDatabase.open(state);
  try {
    const desk = deskOn(database);
    if (accept !== undefined) acceptKey(run, desk, vm, accept);
    else if (reset) resetKey(run, desk, vm);
    else makeToken(run, desk, vm, lifetime);
    return EXIT.ok;
  } finally {
    database.close();
  }
}

const deskOn = (database: StateDatabase): EnrolmentDesk =>
  new EnrolmentDesk({
    vms: new VmStore(database),
    enrolments: new EnrolmentStore(database),
    clock: Date.now,
  });

interface Named {
  readonly id: string;
  readonly name: string;
}

function makeToken(run: Run, desk: EnrolmentDesk, { id, name }: Named, lifetime: number | undefined): void {
  const { token, expires } = desk.createToken(id, lifetime);
  if (run.json) run.printJson({ vm: id, name, token, expires, ways: handInWays(token) });
  else
    run.io.stdout.write(
      renderWays(token, `${harmless(name)}, once, until ${formatTime(expires)}`, run.paint),
    );
}

function acceptKey(run: Run, desk: EnrolmentDesk, { id, name }: Named, fingerprint: string): void {
  const { agentKey } = desk.accept(id, fingerprint);
  if (run.json) run.printJson({ vm: id, name, event: 'accepted', agentKey });
  else run.print(`${harmless(name)} is enrolled with the key ${agentKey}`);
}

function resetKey(run: Run, desk: EnrolmentDesk, { id, name }: Named): void {
  desk.reset(id);
  if (run.json) run.printJson({ vm: id, name, event: 'reset' });
  else
    run.print(
      `the key of ${harmless(name)} is forgotten: it can be enrolled again; what was found in it is kept`,
    );
}

const COLUMNS: readonly Column<PendingGuest>[] = [
  { title: 'VM', cell: ({ name }) => harmless(name), flexible: true },
  { title: 'FINGERPRINT', cell: ({ agentKey }) => agentKey },
  { title: 'WHY', cell: ({ reason }) => harmless(reason) },
  { title: 'FIRST SEEN', cell: ({ firstSeen }) => formatTime(firstSeen) },
  { title: 'LAST SEEN', cell: ({ lastSeen }) => formatTime(lastSeen) },
  { title: 'TIMES', cell: ({ attempts }) => String(attempts), align: 'right' },
];

async function listPending(run: Run<EnrolOptions>): Promise<number> {
  if (run.args.length > 0) throw new UsageError('--pending lists all VMs: name none');
  const { state: directory } = await run.settings();
  using state = State.read(directory);
  run.printRows(
    state?.enrolments.pending() ?? [],
    COLUMNS,
    ({ login, ...guest }) => ({ ...guest, agentId: login.agent.id, smbiosUuid: login.smbiosUuid ?? null }),
    'nobody waits to be enrolled',
  );
  return EXIT.ok;
}

/** From the configuration, from sessions, and those that wait; the first of one id counts. */
async function everyVm(vms: Parameters<typeof configuredSockets>[0], directory: string): Promise<Named[]> {
  using state = State.read(directory);
  const waiting = state?.enrolments.pending().map(({ vm: id, name }) => ({ id, name })) ?? [];
  const all = [...(await configuredSockets(vms).listDomains()), ...(state?.vms.list() ?? []), ...waiting];
  return [...new Map(all.toReversed().map(({ id, name }) => [id, { id, name }])).values()];
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function chooseVm(wanted: string, vms: readonly Named[]): Named {
  const found = vms.filter(({ id, name }) => name === wanted || id === wanted);
  if (found.length > 1) {
    const ids = found.map(({ id }) => id).join(', ');
    throw new UsageError(`several VMs are called ${wanted}: name it by its id (${ids})`);
  }
  if (found[0]) return found[0];
  // A domain that was never met is known by the UUID that libvirt gives it.
  if (UUID.test(wanted)) return { id: wanted.toLowerCase(), name: wanted.toLowerCase() };
  throw new UsageError(
    `no VM is called ${wanted}: list it under "vms" in the configuration, or name its UUID`,
  );
}

function readLifetime(text: string): number {
  const lifetime = duration().safeParse(text);
  if (lifetime.success) return lifetime.data;
  throw new UsageError(`--expires takes a time such as 30min or 48h, not ${text}`);
}
