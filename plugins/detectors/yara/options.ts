import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { ENGINES } from './engines.ts';

export const MEGABYTE = 1024 * 1024;

export const options = z.strictObject({
  /** Files, and directories that are searched for *.yar and *.yara; besides those of packs. */
  rules: z.array(z.string().min(1)).default([]),
  engine: z.enum(['auto', ...ENGINES]).default('auto'),
  /** For one file, in seconds. */
  deadlineSeconds: z.number().positive().max(3600).default(30),
  /** Files scanned at once. */
  processes: z.int().min(1).max(256).default(availableParallelism),
  /** Of one pattern in one file; more are not looked for. The program has a limit of its own. */
  maxMatches: z.int().min(1).max(1_000_000).default(1_000),
  /** Of one engine process, resident. */
  memoryMegabytes: z.int().min(128).max(1_048_576).default(2_048),
});

export type YaraOptions = z.output<typeof options>;
