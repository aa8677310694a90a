/** Detects by YARA rules. README.md in this folder tells what it takes and how it differs from `yara`. */
import { availableParallelism } from 'node:os';
import { confinement, definePlugin, type Logger, PluginError } from 'lazaret/plugin';
import { z } from 'zod';
import type { Engine, ProcessLimits } from './engine.ts';
import { nativeEngine } from './native-engine.ts';
import { readRuleFiles } from './rule-files.ts';
import { wasmEngine } from './wasm-engine.ts';
import { YaraDetector } from './yara-detector.ts';

const MEGABYTE = 1024 * 1024;

const options = z.strictObject({
  /** Files, and directories that are searched for *.yar and *.yara; besides those of packs. */
  rules: z.array(z.string().min(1)).default([]),
  engine: z.enum(['auto', 'native', 'wasm']).default('auto'),
  /** For one file, in seconds. */
  deadlineSeconds: z.number().positive().max(3600).default(30),
  /** Files scanned at once. */
  processes: z.int().min(1).max(256).default(availableParallelism),
  /** Of one pattern in one file; more are not looked for. */
  maxMatches: z.int().min(1).max(1_000_000).default(1_000),
  /** Of one engine process, resident. */
  memoryMegabytes: z.int().min(128).max(1_048_576).default(2_048),
});

export default definePlugin({
  meta: {
    kind: 'detector',
    id: 'yara',
    version: '1.0.0',
    description: 'Matches file contents against YARA rules',
  },
  options,
  requires: ['query:files', 'query:content'],
  signatures: ['yara'],
  async setup({ options, logger, signatures }) {
    if (options.rules.length + signatures.length === 0) {
      throw new PluginError(
        'bad-signatures',
        'there are no rules: name some in plugins.yara.rules, or install a pack',
      );
    }
    const rules = await readRuleFiles(options.rules, signatures);
    const limits = { confinement: await confinement(), memoryBytes: options.memoryMegabytes * MEGABYTE };
    return YaraDetector.open(chooseEngine(options.engine, limits, logger), rules, {
      deadlineMs: options.deadlineSeconds * 1000,
      processes: options.processes,
      maxMatches: options.maxMatches,
    });
  },
});

function chooseEngine(
  wanted: z.output<typeof options>['engine'],
  limits: ProcessLimits,
  logger: Logger,
): Engine {
  if (wanted === 'wasm') return wasmEngine();
  try {
    return nativeEngine(limits);
  } catch (cause) {
    if (wanted === 'native') {
      throw new PluginError(
        'engine-unavailable',
        'the native YARA engine cannot be loaded: install @litko/yara-x, or set "engine" to "wasm"',
        { cause },
      );
    }
    logger.warn('no native YARA engine: the WebAssembly engine is right for a handful of rules only');
    return wasmEngine();
  }
}
