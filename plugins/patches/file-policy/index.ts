/** Brings configuration files of a guest in line with a policy. README.md in this folder describes its bundles. */
import { definePlugin } from 'lazaret/plugin';
import { z } from 'zod';
import { isBundle, readBundle } from './bundle.ts';
import { FilePolicy } from './file-policy.ts';

export default definePlugin({
  meta: {
    kind: 'patch',
    id: 'file-policy',
    version: '1.0.0',
    description: 'Sets configuration files, checked before and after',
  },
  options: z.strictObject({}),
  requires: ['query:content', 'update:file'],
  setup: () => ({
    load: async (path) => (isBundle(path) ? new FilePolicy(await readBundle(path)) : undefined),
  }),
});
