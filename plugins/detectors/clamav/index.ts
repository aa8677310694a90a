/** Detects with a ClamAV daemon. README.md in this folder tells what it needs of it. */
import { definePlugin } from 'lazaret/plugin';
import { checkClamav } from './checkup.ts';
import { openClamav } from './open.ts';
import { options } from './options.ts';

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'clamav',
    version: '1.0.0',
    description: 'Has a ClamAV daemon look at file contents',
  },
  options,
  requires: ['query:files', 'query:content'],
  signatures: ['clamav'],
  setup: openClamav,
  checkup: checkClamav,
});
