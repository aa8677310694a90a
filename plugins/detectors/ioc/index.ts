/** Detects by indicators of compromise. README.md in this folder describes them. */
import path from 'node:path';
import { definePlugin, PluginError } from 'lazaret/plugin';
import { z } from 'zod';
import { isPattern } from './file-indicators.ts';
import { readIndicators } from './indicators.ts';
import { IocDetector } from './ioc-detector.ts';

const VERSION = '1.0.0';
const MOST_PATTERNS = 1_000;

const options = z.strictObject({
  /** Files of indicators, besides those of packs. */
  files: z.array(z.string().min(1)).default([]),
});

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'ioc',
    version: VERSION,
    description: 'Knows files and processes by indicators of compromise',
  },
  options,
  requires: ['query:files', 'query:content', 'query:processes'],
  signatures: ['ioc'],
  async setup({ options, signatures }) {
    const packed = signatures.map(({ path: file, pack, name }) => readIndicators(file, `${pack}/${name}`));
    const own = options.files.map((file) => readIndicators(file, path.basename(file)));
    const read = await Promise.all([...own, ...packed]);
    const patterns = read.flatMap(({ indicators }) => indicators).filter(isPattern).length;
    if (patterns > MOST_PATTERNS) {
      throw new PluginError(
        'bad-signatures',
        `${patterns} indicators have a *, and each of them is tried on every path: keep to ${MOST_PATTERNS}`,
      );
    }
    const detector = new IocDetector(VERSION, read);
    if (detector.engine.signatureCount === 0) {
      throw new PluginError(
        'bad-signatures',
        `there is no indicator in ${options.files.join(', ') || 'any pack'}: name a file in plugins.ioc.files`,
      );
    }
    return detector;
  },
});
