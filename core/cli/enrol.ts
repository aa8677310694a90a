import { type Command, Option } from 'commander';
import type { Settings } from '../config/index.ts';
import { duration } from '../config/quantity.ts';
import { EnrolmentDesk, type IssuedToken, readFingerprint } from '../enrolment/desk.ts';
import { TOKEN_LIFETIME } from '../enrolment/lifetime.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import type { DaemonClient } from '../service/client.ts';
import { StateDatabase } from '../store/database.ts';
import { EnrolmentStore } from '../store/enrolments.ts';
import type { PendingGuest } from '../store/records.ts';
import { VmStore } from '../store/vms.ts';
import { asked, daemonOf } from './daemon.ts';
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
    .option(
      '--expires <time>',
      'how long the token is good, such as 30min or 48h (default: enrolment.tokenLifetime)',
    )
    .addOption(new Option('--pending', 'list the guests that logged in and were not let in'))
    .addOption(
      new Option('--accept <fingerprint>', "pin this key of the VM's agent").conflicts(['pending', 'reset']),
    )
    .addOption(new Option('--reset', "forget the key of the VM's agent").conflicts(['pending', 'expires']))
    .action(perform(context, (run: Run<EnrolOptions>) => enrol(run, context)));
}

async function enrol(run: Run<EnrolOptions>, context: Context): Promise<number> {
  const { pending, accept, reset, expires } = run.options;
  const [name] = run.args;
  if (pending) return listPending(run);
  if (name === undefined) throw new UsageError('name a VM, or list those that wait with --pending');
  const lifetime = expires === undefined ? undefined : readLifetime(expires);
  if (accept !== undefined && lifetime !== undefined)
    throw new UsageError('--expires goes with a new token only');
  await using registry = await registryFor(run, context, name);
  if (accept !== undefined) await acceptKey(run, registry, accept);
  else if (reset) await resetKey(run, registry);
  else await makeToken(run, registry, lifetime);
  return EXIT.ok;
}

interface Named {
  readonly id: string;
  readonly name: string;
}

/** Where it is written down who is enrolled, for one VM: the daemon where one runs, else the state directory. */
interface Registry extends AsyncDisposable {
  createToken(lifetime: number | undefined): Promise<IssuedToken>;
  accept(fingerprint: string): Promise<void>;
  reset(): Promise<void>;
  /** As it is known there. */
  readonly vm: Named;
}

async function registryFor(run: Run, context: Context, name: string): Promise<Registry> {
  const daemon = await daemonOf(run, context);
  return daemon ? daemonRegistry(daemon, name) : ownRegistry(await run.settings(), name);
}

async function daemonRegistry(daemon: DaemonClient, name: string): Promise<Registry> {
  const { id, name: itsName } = await asked(daemon.vm(name));
  return {
    vm: { id, name: itsName },
    createToken: (lifetime) => asked(daemon.createToken(id, lifetime)),
    accept: (fingerprint) => asked(daemon.acceptEnrolment(id, fingerprint)),
    reset: () => asked(daemon.resetEnrolment(id)),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function ownRegistry({ state, vms, enrolment }: Settings, name: string): Promise<Registry> {
  const vm = chooseVm(name, await everyVm(vms, state));
  const database = StateDatabase.open(state);
  const enrolments = new EnrolmentStore(database);
  const desk = new EnrolmentDesk({ vms: new VmStore(database), enrolments, clock: Date.now });
  return {
    vm,
    createToken: async (lifetime = enrolment.tokenLifetime) => desk.createToken(vm.id, lifetime),
    accept: async (fingerprint) => void desk.accept(vm.id, fingerprint),
    reset: async () => desk.reset(vm.id),
    [Symbol.asyncDispose]: async () => database.close(),
  };
}

async function makeToken(run: Run, registry: Registry, lifetime: number | undefined): Promise<void> {
  const { token, expires } = await registry.createToken(lifetime);
  const { id, name } = registry.vm;
  if (run.json) run.printJson({ vm: id, name, token, expires, ways: handInWays(token) });
  else
    run.io.stdout.write(
      renderWays(token, `${harmless(name)}, once, until ${formatTime(expires)}`, run.paint),
    );
}

async function acceptKey(run: Run, registry: Registry, written: string): Promise<void> {
  const agentKey = readFingerprint(written);
  await registry.accept(agentKey);
  const { id, name } = registry.vm;
  if (run.json) run.printJson({ vm: id, name, event: 'accepted', agentKey });
  else run.print(`${harmless(name)} is enrolled with the key ${agentKey}`);
}

async function resetKey(run: Run, registry: Registry): Promise<void> {
  await registry.reset();
  const { id, name } = registry.vm;
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
  const lifetime = duration({ most: TOKEN_LIFETIME.most }).safeParse(text);
  if (lifetime.success) return lifetime.data;
  throw new UsageError(`--expires takes a time such as 30min or 48h, not ${text}`);
}
