import { definePlugin } from 'lazaret/plugin';
import about from './package.json' with { type: 'json' };
import { openDetector } from './src/detector.js';
import { optionsSchema } from './src/options.js';

export default definePlugin({
  meta: {
    kind: 'detector',
    id: about.lazaret.id,
    version: about.version,
    description: about.description,
    api: about.lazaret.api,
  },
  options: optionsSchema,
  requires: ['query:files', 'query:content'],
  setup: ({ options }) => openDetector(about.version, options),
});
