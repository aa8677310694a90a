import { type Checkup, confinement, type PluginContext } from 'lazaret/plugin';
import { type Engines, findEngines, MANY_RULES, TOO_SLOW } from './engines.ts';
import { MEGABYTE, type YaraOptions } from './options.ts';
import { readRuleFiles } from './rule-files.ts';

export async function checkYara({ options, cache }: PluginContext<YaraOptions>): Promise<Checkup[]> {
  const engines = await findEngines(options.memoryMegabytes * MEGABYTE, cache);
  return [await engineCheck(engines, options), await confinementCheck()];
}

async function engineCheck(engines: Engines, { engine: wanted, rules }: YaraOptions): Promise<Checkup> {
  const there = [engines.native, engines.program, engines.wasm].filter((engine) => engine !== undefined);
  const names = there.map(({ name, version }) => `${name} (${version})`).join(', ');
  const taken = wanted === 'auto' ? there[0] : engines[wanted];
  if (taken === undefined) {
    return {
      status: 'fail',
      detail: `the engine ${wanted} is not there; there are ${names}`,
      remedy: 'set "engine" to "auto"',
    };
  }
  const detail = `engines: ${names}; ${wanted === 'auto' ? 'auto takes' : 'configured is'} ${taken.name}`;
  const count = taken.name === 'wasm' ? await countRules(rules) : 0;
  if (count <= MANY_RULES) return { status: 'ok', detail };
  return { status: 'warn', detail: `${detail}, with ${count} rules`, remedy: TOO_SLOW };
}

/** Of the configured ones; those of packs are not known to a checkup. Rules that cannot be read are told of when they are used. */
async function countRules(entries: readonly string[]): Promise<number> {
  const { files } = await readRuleFiles(entries).catch(() => ({ files: [] }));
  return files.reduce((count, { rules }) => count + rules.length, 0);
}

async function confinementCheck(): Promise<Checkup> {
  const { measures, lacking } = await confinement();
  const detail = `engine processes run with ${measures.join(', ') || 'all rights of this one'}`;
  if (lacking.length === 0) return { status: 'ok', detail };
  const remedy =
    'install util-linux and bubblewrap, and let this user make user namespaces (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)';
  return { status: 'warn', detail: `${detail}; not with ${lacking.join(', ')}`, remedy };
}
