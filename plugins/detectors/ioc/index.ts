/** Detects by indicators of compromise. README.md in this folder describes them. */
import path from 'node:path';
import { definePlugin, PluginError } from 'lazaret/plugin';
import { z } from 'zod';
import { isTried } from './file-indicators.ts';
import { readIndicators } from './indicators.ts';
import { IocDetector } from './ioc-detector.ts';

const VERSION = '1.0.0';
const MOST_TRIED = 1_000;

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
    const tried = read.flatMap(({ indicators }) => indicators).filter(isTried).length;
    if (tried > MOST_TRIED) {
      throw new PluginError(
        'bad-signatures',
        `${tried} indicators have a * or are of processes, and each of these is tried on all of a guest: keep to ${MOST_TRIED}`,
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
