/** What a scan is to look at: the guests of the configuration, or one socket without any. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Domain } from '../channel/session.ts';
import { defaults, type Settings } from '../config/index.ts';
import { bareSocket, configuredSockets } from '../hypervisor/sockets.ts';
import { UsageError } from './error.ts';
import type { Context, Run } from './run.ts';
import { State } from './state.ts';

export interface TargetOptions {
  readonly socket?: string;
  readonly name?: string;
  readonly rules?: readonly string[];
  readonly hashes?: readonly string[];
}

export interface Target {
  readonly settings: Settings;
  readonly domains: readonly Domain[];
}

export async function targetOf(run: Run<TargetOptions>, context: Context): Promise<Target> {
  if (run.options.socket !== undefined) return socketTarget(run, context, run.options.socket);
  checkOptions(run);
  const settings = await run.settingsForEngine(context);
  return { settings, domains: await chooseDomains(settings, run.args) };
}

/** Throws UsageError for what only goes with --socket. */
export function checkOptions(run: Run<TargetOptions>): void {
  for (const option of ['name', 'rules', 'hashes'] as const) {
    if (run.options[option] !== undefined) {
      throw new UsageError(`--${option} goes with --socket; with a configuration, set it there`);
    }
  }
}

/** One channel. A configuration counts only when it is named: the command line says all that is needed. */
async function socketTarget(run: Run<TargetOptions>, context: Context, socket: string): Promise<Target> {
  if (run.args.length > 0) throw new UsageError('--socket names the VM by itself: leave the other names out');
  const { name, rules, hashes, config } = run.options;
  const base = config === undefined ? run.withState(defaults()) : await run.settingsForEngine(context);
  if (!rules && !hashes && config === undefined && !hasPacks(base)) {
    run.note(
      "only the starter pack is used: --rules and --hashes add your own, lazaret pack install a vendor's",
    );
  }
  const plugins = {
    ...base.plugins,
    ...(rules && { yara: { ...base.plugins.yara, enabled: true, rules: existing(rules) } }),
    ...(hashes && { hashset: { ...base.plugins.hashset, enabled: true, lists: existing(hashes) } }),
  };
  return { settings: { ...base, plugins }, domains: [bareSocket(socket, name)] };
}

/** Whether vendors' packs are installed. Throws StoreError when the state cannot be read. */
function hasPacks({ state: directory }: Settings): boolean {
  using state = State.read(directory);
  return (state?.packs.list() ?? []).length > 0;
}

function existing(paths: readonly string[]): string[] {
  const missing = paths.find((path) => !existsSync(path));
  if (missing !== undefined) throw new UsageError(`there is no ${missing}`);
  return paths.map((path) => resolve(path));
}

/** The configured guests of these names or ids; all of them when none is named. */
export async function chooseDomains(
  settings: Settings,
  names: readonly string[],
): Promise<readonly Domain[]> {
  const domains = await configuredSockets(settings.vms).listDomains();
  if (domains.length === 0) {
    throw new UsageError(
      'no VM is configured: list them under "vms" in the configuration, or scan one channel with --socket PATH',
    );
  }
  if (names.length === 0) return domains;
  return [...new Set(names)].map((name) => {
    const domain = domains.find((one) => one.name === name || one.id === name);
    if (domain) return domain;
    const known = domains.map((one) => one.name).join(', ');
    throw new UsageError(`no VM is called ${name}; configured: ${known}`);
  });
}
