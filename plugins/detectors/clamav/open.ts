import { realpath } from 'node:fs/promises';
import { extname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type Detector,
  type PluginContext,
  PluginError,
  type SignatureFile,
  type SignatureProblem,
} from 'lazaret/plugin';
import { ClamavDetector } from './clamav-detector.ts';
import { Clamd } from './clamd.ts';
import { type ClamdConfig, readClamdConfig } from './config-file.ts';
import { DETECTING } from './databases.ts';
import type { ClamavOptions } from './options.ts';
import type { PlacedFiles } from './placed.ts';
import { Survey } from './survey.ts';

/** What clamd takes when its configuration says nothing, or cannot be read. */
const DEFAULT_LIMIT = 100 * 1024 * 1024;
/** When clamd does not answer for so long, it is asked whether it lives; a third of a shorter deadline. */
const HANG_MS = 15_000;
/** After the look at its databases clamd loads them, which takes minutes at most. */
const LOADING_MS = 10 * 60_000;
const LOOK_AGAIN_MS = 200;

/** A clamd that is down is no error here: what it was to look at is unscanned, and it may come back. */
export async function openClamav(context: PluginContext<ClamavOptions>): Promise<Detector> {
  const { options, logger } = context;
  const { clamd, survey, config } = await reachClamd(options);
  try {
    const problems = await useSignatures(context, clamd, survey);
    await survey.refresh();
    const maxFileBytes =
      options.maxFileBytes ??
      Math.min(config?.maxFileBytes ?? DEFAULT_LIMIT, config?.streamMaxBytes ?? DEFAULT_LIMIT);
    const settings = { maxFileBytes, suspicious: options.suspicious };
    return new ClamavDetector(clamd, survey, settings, logger, problems);
  } catch (error) {
    survey.close();
    clamd.close();
    throw error;
  }
}

export interface Reached {
  readonly clamd: Clamd;
  readonly survey: Survey;
  /** Undefined when it cannot be read, or is that of another clamd. */
  readonly config: ClamdConfig | undefined;
}

/** Sends nothing yet. */
export async function reachClamd(options: ClamavOptions): Promise<Reached> {
  const config = await configOf(options);
  const deadlineMs = options.deadlineSeconds * 1000;
  const settings = { deadlineMs, hangMs: Math.min(HANG_MS, deadlineMs / 3) };
  const clamd = new Clamd({ socket: options.socket, ...settings }, options.concurrency ?? 1);
  const directory = options.databaseDirectory ?? config?.databaseDirectory;
  const survey = new Survey(clamd, {
    placing: options.databaseDirectory !== undefined,
    ...(directory !== undefined && { directory }),
    ...(options.concurrency !== undefined && { atOnce: options.concurrency }),
    ...(config?.selfCheckSeconds !== undefined && { settleMs: config.selfCheckSeconds * 1000 + LOADING_MS }),
  });
  return { clamd, survey, config };
}

async function configOf({ config: path, socket }: ClamavOptions): Promise<ClamdConfig | undefined> {
  const config = await readClamdConfig(path);
  if (config?.localSocket === undefined) return undefined;
  const [theirs, ours] = await Promise.all([config.localSocket, socket].map(resolved));
  return theirs === ours ? config : undefined;
}

/** /var/run is a link to /run. */
const resolved = (path: string): Promise<string> => realpath(path).catch(() => path);

/** Puts the packs' files among clamd's databases, and has them loaded before anybody asks. */
async function useSignatures(
  { options, signatures }: PluginContext<ClamavOptions>,
  clamd: Clamd,
  survey: Survey,
): Promise<SignatureProblem[]> {
  const usable = signatures.filter(isDatabase);
  const problems = signatures.filter((file) => !isDatabase(file)).map(noDatabase);
  if (survey.placed === undefined) return [...problems, ...usable.map(notInUse)];
  const directory = options.databaseDirectory ?? '';
  try {
    const changed = await survey.placed.place(usable);
    const fault = await loadFault(survey, options.loadSeconds * 1000);
    if (fault === undefined) return problems;
    if (changed) await takeBack(clamd, survey.placed, directory, fault);
    return [...problems, { file: directory, message: fault }];
  } catch (error) {
    if (error instanceof PluginError) throw error;
    const message = `the packs' files are not in use: ${error instanceof Error ? error.message : error}`;
    return [...problems, { file: directory, message }];
  }
}

/** Why clamd has not loaded what lies in its directory; undefined when it has. */
async function loadFault(survey: Survey, loadMs: number): Promise<string | undefined> {
  for (const end = performance.now() + loadMs; performance.now() < end; await pause(LOOK_AGAIN_MS)) {
    if (await survey.hasLoaded()) return undefined;
  }
  return `clamd did not load what lies here within ${loadMs / 1000} s: a file is faulty (clamd's log names it), or it is not its DatabaseDirectory`;
}

async function takeBack(clamd: Clamd, placed: PlacedFiles, directory: string, fault: string): Promise<never> {
  await placed.takeBack();
  await clamd.reload();
  throw new PluginError('bad-signatures', `${directory}: ${fault}; the packs' files were taken out again`);
}

const isDatabase = ({ path }: SignatureFile): boolean => DETECTING.has(extname(path).toLowerCase());

const noDatabase = ({ pack, name }: SignatureFile): SignatureProblem => ({
  file: `${pack}/${name}`,
  message: `is no signature database that a pack may bring: those are ${[...DETECTING].join(' ')}`,
});

const notInUse = ({ pack, name }: SignatureFile): SignatureProblem => ({
  file: `${pack}/${name}`,
  message:
    'is not in use: set plugins.clamav.databaseDirectory to a DatabaseDirectory of clamd that Lazaret may write',
});
