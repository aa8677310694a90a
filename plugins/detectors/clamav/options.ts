import { z } from 'zod';

export const options = z.strictObject({
  /** Where clamd listens (LocalSocket). */
  socket: z.string().startsWith('/'),
  /** clamd's configuration: its limits and its database directory are read from it, where it may be read. */
  config: z.string().startsWith('/').default('/etc/clamav/clamd.conf'),
  /** clamd's DatabaseDirectory, to place files of packs there. */
  databaseDirectory: z.string().startsWith('/').optional(),
  /** How long clamd may take to load its databases, in seconds. */
  loadSeconds: z.number().min(1).max(3600).default(120),
  /** Contents that clamd looks at at once; by default its MaxThreads, and at most two a core. */
  concurrency: z.int().min(1).max(256).optional(),
  /** For one content, in seconds; a little more than clamd's MaxScanTime. */
  deadlineSeconds: z.number().min(1).max(3600).default(150),
  /** Larger contents are unscanned; by default what clamd's configuration allows. */
  maxFileBytes: z.int().min(1).optional(),
  /** Signatures whose name begins so make a file suspicious, others malicious. */
  suspicious: z.array(z.string().min(1)).default(['PUA.', 'Heuristics.']),
});
export type ClamavOptions = z.output<typeof options>;
