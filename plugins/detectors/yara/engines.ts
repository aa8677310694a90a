/** Which engines this host has, and which one `auto` takes. Why in this order, with figures: README.md. */
import { confinement, type Logger, PluginError } from 'lazaret/plugin';
import type { Engine, ProcessLimits } from './engine.ts';
import { nativeEngine } from './native-engine.ts';
import { programEngine } from './program-engine.ts';
import type { RuleFiles } from './rule-files.ts';
import { wasmEngine } from './wasm-engine.ts';
import { type ScanSettings, YaraDetector } from './yara-detector.ts';

export const ENGINES = ['native', 'program', 'wasm'] as const;
export type EngineName = (typeof ENGINES)[number];

export interface Engines {
  readonly native: Engine | undefined;
  readonly program: Engine | undefined;
  readonly wasm: Engine;
}

/** From here on the WebAssembly engine takes longer for most files than all else that a scan does. */
export const MANY_RULES = 100;
export const TOO_SLOW =
  'the WebAssembly engine takes longer for every file the more rules there are: install @litko/yara-x (npm, Linux x64 with glibc) or the program yara 4 (apt-get install yara)';

const HOW_TO_GET: Readonly<Record<EngineName, string>> = {
  native: 'the native YARA engine cannot be loaded: install @litko/yara-x, or set "engine" to "auto"',
  program:
    'there are no programs yara and yarac of version 4: apt-get install yara, or set "engine" to "auto"',
  wasm: 'npm ci',
};

export async function findEngines(memoryBytes: number, cache: string): Promise<Engines> {
  const limits: ProcessLimits = { confinement: await confinement(), memoryBytes };
  return { native: nativeEngine(limits), program: await programEngine(limits, cache), wasm: wasmEngine() };
}

/** Throws PluginError: `engine-unavailable` for an engine that was asked for by name, `bad-signatures`. */
export async function openDetector(
  wanted: EngineName | 'auto',
  engines: Engines,
  rules: RuleFiles,
  settings: ScanSettings,
  logger: Logger,
): Promise<YaraDetector> {
  if (wanted !== 'auto') {
    const engine = engines[wanted];
    if (engine === undefined) throw new PluginError('engine-unavailable', HOW_TO_GET[wanted]);
    return YaraDetector.open(engine, rules, settings);
  }
  if (engines.native !== undefined) return YaraDetector.open(engines.native, rules, settings);
  return (
    (await openProgram(engines.program, rules, settings)) ?? openWasm(engines.wasm, rules, settings, logger)
  );
}

/** Only where it can use every rule: the other engines know external variables and what is new in YARA-X. */
async function openProgram(
  engine: Engine | undefined,
  rules: RuleFiles,
  settings: ScanSettings,
): Promise<YaraDetector | undefined> {
  if (engine === undefined) return undefined;
  try {
    const detector = await YaraDetector.open(engine, rules, settings);
    if (detector.problems.length === rules.problems.length) return detector;
    await detector.close();
  } catch (error) {
    if (!(error instanceof PluginError && error.code === 'bad-signatures')) throw error;
  }
  return undefined;
}

async function openWasm(
  engine: Engine,
  rules: RuleFiles,
  settings: ScanSettings,
  logger: Logger,
): Promise<YaraDetector> {
  const detector = await YaraDetector.open(engine, rules, settings);
  const { signatureCount } = detector.engine;
  if (signatureCount > MANY_RULES)
    logger.warn(`scanning with ${signatureCount} YARA rules is slow here: ${TOO_SLOW}`);
  return detector;
}
