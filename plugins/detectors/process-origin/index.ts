/** Detects processes by the origin of their program. README.md in this folder gives the reasons. */
import { definePlugin } from 'lazaret/plugin';
import { z } from 'zod';
import { ProcessOriginDetector } from './process-origin-detector.ts';

const VERSION = '1.0.0';

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'process-origin',
    version: VERSION,
    description: 'Judges processes by where their program came from',
  },
  options: z.strictObject({}),
  requires: ['query:processes'],
  setup: () => new ProcessOriginDetector(VERSION),
});
