/** Detects by YARA rules. README.md in this folder tells what it takes and how it differs from `yara`. */
import { definePlugin, PluginError } from 'lazaret/plugin';
import { checkYara } from './checkup.ts';
import { findEngines, openDetector } from './engines.ts';
import { MEGABYTE, options } from './options.ts';
import { readRuleFiles } from './rule-files.ts';

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'yara',
    version: '1.0.0',
    description: 'Matches file contents against YARA rules',
  },
  options,
  requires: ['query:files', 'query:content'],
  signatures: ['yara'],
  async setup({ options, logger, signatures, cache, signal }) {
    if (options.rules.length + signatures.length === 0) {
      throw new PluginError(
        'bad-signatures',
        'there are no rules: name some in plugins.yara.rules, or install a pack',
      );
    }
    const rules = await readRuleFiles(options.rules, signatures, signal);
    const engines = await findEngines(options.memoryMegabytes * MEGABYTE, cache);
    const { processes, maxMatches } = options;
    const settings = { deadlineMs: options.deadlineSeconds * 1000, processes, maxMatches };
    return openDetector(options.engine, engines, rules, settings, logger);
  },
  checkup: checkYara,
});
