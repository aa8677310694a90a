/** Detects by lists of known hashes. README.md in this folder describes the lists. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { definePlugin, PluginError } from 'lazaret/plugin';
import { z } from 'zod';
import { parseHashList } from './hash-list.ts';
import { HashsetDetector } from './hashset-detector.ts';

const VERSION = '1.0.0';

const options = z.strictObject({
  /** Files with one `hash[ name]` a line; besides those of packs. */
  lists: z.array(z.string().min(1)).default([]),
});

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'hashset',
    version: VERSION,
    description: 'Looks contents up in lists of known hashes',
  },
  options,
  requires: ['query:files', 'query:content'],
  signatures: ['hashset'],
  async setup({ options, signatures }) {
    const packed = signatures.map(({ path: file, pack, name }) => readList(file, `${pack}/${name}`));
    const lists = await Promise.all([...options.lists.map((file) => readList(file)), ...packed]);
    const detector = new HashsetDetector(VERSION, lists);
    if (detector.engine.signatureCount === 0) {
      throw new PluginError(
        'bad-signatures',
        `there is no hash in ${options.lists.join(', ') || 'any pack'}: name a list in plugins.hashset.lists`,
      );
    }
    return detector;
  },
});

async function readList(file: string, source = path.basename(file)) {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new PluginError('bad-signatures', `cannot read the hash list ${file}: check the option "lists"`, {
      cause,
    });
  });
  return { ...parseHashList(file, text), source };
}
