/** Detects what a guest is made to start by itself. README.md in this folder lists the places. */
import { definePlugin } from 'lazaret/plugin';
import { z } from 'zod';
import { PersistenceDetector } from './persistence-detector.ts';

const VERSION = '1.0.0';

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'persistence',
    version: VERSION,
    description: 'Reads what starts by itself: cron, systemd, shells, keys, kernel modules, udev',
  },
  options: z.strictObject({}),
  requires: ['query:files', 'query:content'],
  setup: () => new PersistenceDetector(VERSION),
});
