import type { Command } from 'commander';
import { findGuestParts, findProbeParts } from '../../demo/guest/parts.ts';
import { type Configurable, defaults, loadSettings, type Settings } from '../config/index.ts';
import { ConfigError, StoreError } from '../error.ts';
import { configuredSockets } from '../hypervisor/sockets.ts';
import { checkActions } from './action-checkup.ts';
import {
  type Check,
  checkDemoGuest,
  checkJournal,
  checkKvm,
  checkNode,
  checkRows,
  checkSocket,
  checkSpool,
  checkState,
} from './checkup.ts';
import { EXIT } from './exit.ts';
import { checkPacks } from './pack-checkup.ts';
import { checkPlugins } from './plugin-checkup.ts';
import { type Context, perform, type Run } from './run.ts';
import { checkGuests, checkLibvirt, findService } from './service-checkup.ts';
import type { Paint } from './style.ts';
import { columnsOf, harmless, pad } from './text.ts';
import { checkVault } from './vault-checkup.ts';

export function registerDoctor(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('tells what is there, what is missing and how to get it')
    .action(perform(context, (run) => doctor(run, context)));
}

async function doctor(run: Run, context: Context): Promise<number> {
  const loading = await checkLoading(context);
  const isLoaded = loading.length === 0;
  const plugins = isLoaded ? (given: Settings) => context.plugins(given) : undefined;
  const { settings, checks: configuration } = await checkConfiguration(run.options.config, plugins);
  const own = run.withState(settings);
  const checks = [
    ...loading,
    ...configuration,
    ...(await examine(own)),
    ...(await checkVault(own)),
    ...(await packs(own)),
    ...(isLoaded ? await examinePlugins(own, context) : []),
  ];
  if (run.json) for (const check of checks) run.printJson(check);
  else run.io.stdout.write(renderChecks(checks, run.paint));
  return checks.some(({ status }) => status === 'fail') ? EXIT.failed : EXIT.ok;
}

/** Plugins that cannot even be loaded are no reason not to look at the rest. Nothing when they can. */
async function checkLoading(context: Context): Promise<Check[]> {
  try {
    await context.plugins();
    return [];
  } catch (error) {
    const detail = `they cannot be loaded: ${error instanceof Error ? error.message : String(error)}`;
    return [{ name: 'plugins', status: 'fail', detail, remedy: 'npm ci, then npm run build' }];
  }
}

/** Those that are in use look at what they need; those that were refused are named. */
async function examinePlugins(settings: Settings, context: Context): Promise<Check[]> {
  const { plugins, refused } = await context.catalogue(settings);
  const named = refused.map(
    ({ error }): Check => ({ name: 'plugins', status: 'fail', detail: error.message }),
  );
  return [...named, ...(await checkPlugins(plugins, settings))];
}

/** A wrong configuration is one finding among others: the rest is looked at with the defaults. */
async function checkConfiguration(
  file: string | undefined,
  plugins: ((settings: Settings) => Promise<readonly Configurable[]>) | undefined,
): Promise<{ settings: Settings; checks: Check[] }> {
  const name = 'configuration';
  try {
    const { settings, files } = await loadSettings({ file }, plugins);
    const detail = files.join(', ') || 'none; the defaults hold';
    return { settings, checks: [{ name, status: 'ok', detail }] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const checks = error.message.split('\n').map(
      (detail): Check => ({
        name,
        status: 'fail',
        detail,
        remedy: 'correct it; lazaret config check tells more',
      }),
    );
    return { settings: defaults(), checks };
  }
}

/** A state directory that cannot be read has a check of its own. */
async function packs(settings: Settings): Promise<Check[]> {
  try {
    return await checkPacks(settings, Date.now());
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return [{ name: 'packs', status: 'fail', detail: error.message }];
  }
}

async function examine(settings: Settings): Promise<Check[]> {
  const { service, checks } = await findService(settings);
  const domains = await configuredSockets(settings.vms).listDomains();
  const guests = service ? checkGuests(service) : Promise.all(domains.map(checkSocket));
  return [...(await examineHost(settings)), ...checks, ...(await checkLibvirt(settings)), ...(await guests)];
}

function examineHost(settings: Settings): Promise<Check[]> {
  return Promise.all([
    checkNode(process.versions.node),
    checkSpool(settings.spool),
    ...checkDemoGuest(findGuestParts()),
    checkKvm(findProbeParts()),
    checkState(settings.state),
    checkJournal(settings.state),
    ...checkActions(settings.state, Date.now()),
    checkRows(settings.state),
  ]);
}

const SHADES = { ok: 'good', warn: 'warning', fail: 'bad' } as const;

/** A line for each check, and one below for the remedy. */
export function renderChecks(checks: readonly Check[], paint: Paint): string {
  const width = Math.max(...checks.map(({ name }) => columnsOf(harmless(name))));
  const lines = checks.map(({ name, status, detail, remedy }) => {
    const line = `${paint(SHADES[status], pad(status, 4))}  ${pad(harmless(name), width)}  ${harmless(detail)}\n`;
    return remedy === undefined ? line : `${line}${' '.repeat(width + 8)}→ ${harmless(remedy)}\n`;
  });
  return lines.join('');
}
