/** Detects programs with odd headers or at odd places. README.md in this folder gives the reasons. */
import { definePlugin } from 'lazaret/plugin';
import { z } from 'zod';
import { ElfFactsDetector } from './elf-facts-detector.ts';

const VERSION = '1.0.0';

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'elf-facts',
    version: VERSION,
    description: 'Looks at the headers of programs: packed, stripped of sections, oddly loaded, setuid',
  },
  options: z.strictObject({}),
  requires: ['query:files', 'query:content'],
  setup: () => new ElfFactsDetector(VERSION),
});
