/** The plugins of configured directories, ready to be set up beside those that come with Lazaret. */
import { type AnyPlugin, type Plugin, PluginError } from '../api/index.ts';
import { type Discovery, discover } from './discover.ts';
import { isolatedPlugin } from './isolated-plugin.ts';

export interface ThirdParty extends Discovery {
  readonly plugins: readonly Plugin<'detector'>[];
}

/** All plugins, those that come with Lazaret too. */
export interface Catalogue extends Discovery {
  readonly plugins: readonly AnyPlugin[];
}

/** `taken`: ids that no package may have; of two packages with one id, the first is used. Does not throw. */
export function thirdParty(
  directories: readonly string[],
  taken: readonly string[],
  places: readonly string[],
): ThirdParty {
  const found = discover(directories);
  const ids = new Set(taken);
  const refused = [...found.refused];
  const packages = found.packages.filter(({ directory, manifest: { id } }) => {
    const free = !ids.has(id);
    ids.add(id);
    const message = `the plugin in ${directory} is refused: another plugin has the id ${id}; remove one of them`;
    if (!free) refused.push({ directory, error: new PluginError('bad-package', message) });
    return free;
  });
  return { packages, refused, plugins: packages.map((one) => isolatedPlugin(one, places)) };
}
