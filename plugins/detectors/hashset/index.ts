/** Detects by lists of known hashes. README.md in this folder describes the lists. */
import path from 'node:path';
import { definePlugin, PluginError } from 'lazaret/plugin';
import { z } from 'zod';
import { isAllowList, judgementOf } from './hash-list.ts';
import { HashsetDetector } from './hashset-detector.ts';
import type { List } from './index-builder.ts';
import { openIndex } from './index-cache.ts';
import { MOST_LISTS } from './notes.ts';

const VERSION = '1.0.0';

const options = z.strictObject({
  /** Lists of hashes, besides those of packs. */
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
  async setup({ options, signatures, cache, logger, signal }) {
    const lists = [
      ...options.lists.map((file) => toList(path.resolve(file), path.basename(file))),
      ...signatures.map(({ path: file, pack, name }) => toList(file, `${pack}/${name}`)),
    ].sort(maliciousFirst);
    if (lists.length > MOST_LISTS) {
      throw new PluginError('bad-signatures', `there are more than ${MOST_LISTS} lists: join some`);
    }
    const index = await openIndex({ lists, cache, logger, signal });
    if (index.contents.count === 0) {
      index.close();
      throw new PluginError(
        'bad-signatures',
        `there is no hash in ${options.lists.join(', ') || 'any pack'}: name a list in plugins.hashset.lists`,
      );
    }
    return new HashsetDetector(VERSION, index);
  },
});

/** Of equal entries the first counts, which must not be one that says less. */
const maliciousFirst = (a: List, b: List): number =>
  Number(b.judgement === 'malicious') - Number(a.judgement === 'malicious');

function toList(file: string, source: string): List {
  if (isAllowList(file)) {
    throw new PluginError(
      'bad-signatures',
      `${file} is a list of what is known to be good: take it out of the option "lists"`,
    );
  }
  return { path: file, source, judgement: judgementOf(file) };
}
