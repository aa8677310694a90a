/**
 * The composition root: the only file that touches the container or imports plugins. Everything else is handed
 * what it needs, in its constructor, under the names of `tokens.ts`.
 */
import 'reflect-metadata';
import { join } from 'node:path';
import { type DependencyContainer, container as root } from 'tsyringe';
import clamav from '../plugins/detectors/clamav/index.ts';
import elfFacts from '../plugins/detectors/elf-facts/index.ts';
import hashset from '../plugins/detectors/hashset/index.ts';
import ioc from '../plugins/detectors/ioc/index.ts';
import persistence from '../plugins/detectors/persistence/index.ts';
import processOrigin from '../plugins/detectors/process-origin/index.ts';
import yara from '../plugins/detectors/yara/index.ts';
import filePolicy from '../plugins/patches/file-policy/index.ts';
import containFile from '../plugins/remediations/contain-file/index.ts';
import deleteFile from '../plugins/remediations/delete-file/index.ts';
import stopProcess from '../plugins/remediations/stop-process/index.ts';
import { DEADLINES, displayText, GuestPath, type InstructionName } from '../protocol/index.ts';
import type { AnyPlugin, Logger } from './api/index.ts';
import { connectGuest } from './capability/connect.ts';
import { loadIdentity } from './channel/identity.ts';
import type { Domain } from './channel/session.ts';
import { type Budget, LiveSettings, type Settings, settingsFor } from './config/index.ts';
import { ActionExecutor } from './control/execute.ts';
import { GuestQuarantine } from './control/guest-quarantine.ts';
import { NeverTouch } from './control/never-touch.ts';
import { Quarantine } from './control/quarantine.ts';
import { Vault } from './control/vault.ts';
import { VaultRoom } from './control/vault-room.ts';
import { EnrolmentDesk } from './enrolment/desk.ts';
import { EnrolmentGate } from './enrolment/gate.ts';
import { LiveKeys } from './enrolment/live-keys.ts';
import { describeError } from './error.ts';
import { vaultState } from './events/ocsf.ts';
import type { EventSink } from './events/sink.ts';
import { activeFiles, Packs } from './pack/packs.ts';
import { PackShelf } from './pack/shelf.ts';
import { readStarter } from './pack/starter.ts';
import { KNOWN_GOOD } from './pack/trial.ts';
import { PackWatch } from './pack/watch.ts';
import { PatchApplier } from './patch/apply.ts';
import { Patcher } from './patch/patcher.ts';
import { PluginRegistry } from './plugin/registry.ts';
import { type Catalogue, type ThirdParty, thirdParty } from './plugin/third-party.ts';
import { Known } from './scan/known.ts';
import type { OnAnswered } from './scan/responder.ts';
import { noteLateOutcomes } from './scan/response.ts';
import { Scanner } from './scan/scanner.ts';
import { Spool } from './scan/spool.ts';
import type { HostServices, Records, ServiceOptions } from './services.ts';
import { SessionPool } from './session-pool.ts';
import { ActionJournal } from './store/action-journal.ts';
import { StateCondition } from './store/condition.ts';
import { StateDatabase } from './store/database.ts';
import { EnrolmentStore } from './store/enrolments.ts';
import { FindingStore } from './store/findings.ts';
import { logLeftOut } from './store/left-out.ts';
import { PackStore } from './store/packs.ts';
import { PatchStore } from './store/patches.ts';
import type { VmRecord } from './store/records.ts';
import { ScanStore } from './store/scans.ts';
import { VaultIndex } from './store/vault-index.ts';
import { VmActionJournal } from './store/vm-action-journal.ts';
import { VmStore } from './store/vms.ts';
import { TOKENS } from './tokens.ts';
import { type OpenSession, VmSession } from './vm-session.ts';

/** The plugins that come with Lazaret. A line here and a folder is all that one takes. */
export const BUILT_IN = [
  yara,
  clamav,
  hashset,
  ioc,
  processOrigin,
  persistence,
  elfFacts,
  stopProcess,
  containFile,
  deleteFile,
  filePolicy,
];

/** All that a configuration can name: ours, and those of its plugin directories. */
export const pluginsFor = (settings?: Settings): readonly AnyPlugin[] =>
  settings ? catalogueFor(settings).plugins : BUILT_IN;

export function catalogueFor(settings: Settings): Catalogue {
  const outside = ofThirdParties(settings);
  return { ...outside, plugins: [...BUILT_IN, ...outside.plugins] };
}

function ofThirdParties({ pluginDirectories, spool, state }: Settings): ThirdParty {
  const places = [spool.directory, spool.overflow.directory ?? join(state, 'spool')];
  return thirdParty(
    pluginDirectories,
    BUILT_IN.map(({ meta }) => meta.id),
    spool.overflow.enabled ? places : places.slice(0, 1),
  );
}

/** What the core itself has a use for, besides what plugins require. */
const CORE_NEEDS: readonly InstructionName[] = [
  'query:features',
  'query:files',
  'query:content',
  'restore:file',
];

/** Starts the engine. Throws StoreError, PluginError or ScanError, and then leaves nothing open. */
export async function compose(settings: Settings, options: ServiceOptions): Promise<HostServices> {
  await using started = new AsyncDisposableStack();
  const container = root.createChildContainer();
  const database = started.adopt(StateDatabase.open(settings.state), (opened) => opened.close());
  database.onLeftOut = (row) => logLeftOut(options.logger, row);
  const stop = started.adopt(new AbortController(), (controller) => controller.abort());
  const { plugins: all, refused } = catalogueFor(settings);
  for (const { error } of refused) options.logger.warn(error.message);
  const context = {
    logger: options.logger,
    cache: join(settings.state, 'cache'),
    signal: options.signal ? AbortSignal.any([stop.signal, options.signal]) : stop.signal,
    refused: refused.map(({ directory, error }) => ({ file: directory, message: error.message })),
  };
  const store = new PackStore(database);
  const shelf = new PackShelf(join(settings.state, 'packs'), settings.packs.trusted);
  const builtIn = settings.packs.starter ? await readStarter() : { files: [], problems: [] };
  const signatures = [...builtIn.files, ...(await activeFiles(shelf, store.list(), Date.now()))];
  const plugins = started.adopt(
    await PluginRegistry.open(all, settings.plugins, context, signatures),
    (opened) => opened.close(),
  );
  const spool = started.use(createSpool(settings));

  const live = new LiveSettings(settings);
  container.registerInstance(TOKENS.settings, live);
  container.registerInstance(TOKENS.logger, options.logger);
  container.registerInstance(TOKENS.events, options.events);
  container.registerInstance(TOKENS.clock, Date.now);
  container.registerInstance(TOKENS.identity, await loadIdentity(settings.state));
  container.registerInstance(TOKENS.plugins, plugins);
  container.registerInstance(TOKENS.spool, spool);
  container.registerInstance(TOKENS.known, new Known(database, settings.policy.knownContent));
  const packs = new Packs({
    shelf,
    store,
    plugins,
    trusted: settings.packs.trusted,
    knownGood: KNOWN_GOOD,
    builtIn,
    clock: Date.now,
    onChange: options.onPackChange,
  });
  container.registerInstance(TOKENS.packs, packs);
  const packWatch = new PackWatch({
    directory: settings.packs.watch,
    packs,
    logger: options.logger,
    clock: Date.now,
  });
  started.defer(() => packWatch.stop());
  const { room, ...records } = registerState(container, settings.state, database, options);
  const sessions = new SessionPool(sessionOpener(container));
  container.register(TOKENS.openSession, { useValue: sessions.acquire.bind(sessions) });

  const running = started.move();
  return {
    scanner: container.resolve(Scanner),
    quarantine: container.resolve(GuestQuarantine),
    patcher: container.resolve(Patcher),
    packs,
    packWatch,
    sessions,
    settings: live,
    records,
    condition: conditionOf(database, records, store),
    enrolment: container.resolve<EnrolmentDesk>(TOKENS.enrolmentDesk),
    spooled: () => spool.bytesHeld,
    refusedByVault: () => room.refused,
    reconfigure: async (changed) => {
      await plugins.configure(changed.plugins);
      live.replace(changed);
    },
    close: () => running.disposeAsync(),
  };
}

/** Tried by what the API, the command line and the schedule read with. */
function conditionOf(database: StateDatabase, records: Records, packs: PackStore): StateCondition {
  const { vms, scans, findings, actions, vault } = records;
  const first = { limit: 1 };
  const listings = {
    'the VMs': () => vms.list(),
    'the scans': () => scans.page({}, first),
    'the findings': () => findings.page({}, first),
    'the actions': () => actions.page({}, first),
    'the vault': () => vault.page({}, first),
    'the packs': () => packs.list(),
  };
  return new StateCondition({ database, journal: actions, listings, clock: Date.now });
}

function createSpool({ state, spool: { directory, bytes, overflow } }: Settings): Spool {
  const onDisk = { directory: overflow.directory ?? join(state, 'spool'), bytes: overflow.bytes };
  return Spool.create(directory, bytes, overflow.enabled ? onDisk : undefined);
}

/** The database's tables, the vault, and those who act upon guests. */
function registerState(
  container: DependencyContainer,
  directory: string,
  database: StateDatabase,
  options: ServiceOptions,
): Records & { readonly room: VaultRoom } {
  const journal = new ActionJournal(database);
  const scans = new ScanStore(database);
  const patches = new PatchStore(database);
  const index = new VaultIndex(database);
  const vms = new VmStore(database);
  const settings = container.resolve<LiveSettings>(TOKENS.settings);
  const onChange = (vm: string, why: string | undefined) => void tellVaultState(vms.find(vm), why, options);
  const room = new VaultRoom({ directory, index, limits: () => settings.current.vault, onChange });
  const vault = new Vault(directory, index, room);
  const findings = new FindingStore(database);
  const executor = new ActionExecutor({ journal, vault, room: options.room, onClosed: options.onAction });
  scans.failAbandoned(Date.now());
  container.registerInstance(TOKENS.vms, vms);
  container.registerInstance(TOKENS.scans, scans);
  container.registerInstance(TOKENS.findings, findings);
  container.registerInstance(TOKENS.executor, executor);
  container.register(TOKENS.onAnswered, { useValue: options.onAnswered ?? (() => undefined) });
  container.registerInstance(TOKENS.quarantine, new Quarantine(vault, executor));
  container.registerInstance(TOKENS.patchApplier, new PatchApplier({ executor, patches }));
  const enrolments = new EnrolmentStore(database);
  const parts = { vms, enrolments, clock: Date.now };
  container.registerInstance(TOKENS.enrolments, enrolments);
  container.registerInstance(TOKENS.enrolmentDesk, new EnrolmentDesk(parts));
  const logger = container.resolve<Logger>(TOKENS.logger);
  container.registerInstance(TOKENS.liveKeys, new LiveKeys({ ...parts, logger }));
  return {
    vms,
    scans,
    findings,
    actions: journal,
    vmActions: new VmActionJournal(database, journal),
    vault: index,
    room,
  };
}

/** Once for each change; the log has it also where the event finds no room. */
async function tellVaultState(
  vm: VmRecord | undefined,
  why: string | undefined,
  { events, logger }: ServiceOptions,
): Promise<void> {
  if (!vm) return;
  const name = displayText(vm.name);
  if (why === undefined) logger.info(`files of ${name} are contained again`, { vm: vm.id });
  else logger.warn(`files of ${name} are ${why}`, { vm: vm.id, code: 'vault-full' });
  try {
    await events.emit(vaultState(vm, why, Date.now()));
  } catch (error) {
    const { code, message } = describeError(error);
    logger.warn(`that could not be told as an event: ${message}`, { vm: vm.id, code });
  }
}

/** Only the bounds that are set: the agent refuses a grant that names one without a number. */
const definedOf = ({ cpuPercent, readBytesPerSecond }: Budget) => ({
  ...(cpuPercent !== undefined && { cpuPercent }),
  ...(readBytesPerSecond !== undefined && { readBytesPerSecond }),
});

/** A session of a VM has a child container of its own, which is gone with it. */
function sessionOpener(container: DependencyContainer): OpenSession {
  const settings = container.resolve<LiveSettings>(TOKENS.settings);
  const plugins = container.resolve<PluginRegistry>(TOKENS.plugins);
  const executor = container.resolve<ActionExecutor>(TOKENS.executor);
  const records = {
    findings: container.resolve<FindingStore>(TOKENS.findings),
    events: container.resolve<EventSink>(TOKENS.events),
    onAnswered: container.resolve<OnAnswered>(TOKENS.onAnswered),
  };
  const vms = container.resolve<VmStore>(TOKENS.vms);
  const clock = container.resolve<() => number>(TOKENS.clock);
  const connection = {
    identity: container.resolve(TOKENS.identity) as Awaited<ReturnType<typeof loadIdentity>>,
    enrolments: vms,
    clock,
    liveKeys: container.resolve<LiveKeys>(TOKENS.liveKeys),
  };
  const gate = {
    vms,
    enrolments: container.resolve<EnrolmentStore>(TOKENS.enrolments),
    clock,
    logger: container.resolve<Logger>(TOKENS.logger),
  };
  return async (domain: Domain, signal: AbortSignal) => {
    const { policy, budget } = settingsFor(settings.current, domain);
    const { allow, neverTouch, deadlines } = policy;
    const options = {
      ...connection,
      policy: { allow },
      gate: new EnrolmentGate({ ...gate, mode: settings.current.enrolment.mode }),
      needs: plugins.needs().union(new Set(CORE_NEEDS)),
      deadlines: { ...DEADLINES, ...deadlines },
      budget: definedOf(budget),
    };
    const guest = await connectGuest(domain, options, signal);
    const scope = container.createChildContainer();
    scope.registerInstance(TOKENS.guest, guest);
    scope.registerInstance(TOKENS.neverTouch, new NeverTouch(neverTouch.map((path) => GuestPath.of(path))));
    const session = scope.resolve(VmSession);
    try {
      const { closed, lost } = await executor.reconcile(session.guest);
      await noteLateOutcomes(closed, guest.vm, records);
      if (lost) throw lost;
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  };
}
