/** What is known of the clamd that answers now: its version, whether its OK can be trusted, its databases. */
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseScan, parseThreads, parseVersion, type Version } from './answer.ts';
import type { Clamd } from './clamd.ts';
import { countSignatures, type DatabaseState, databaseState } from './databases.ts';
import { nestedArchive } from './nested-archive.ts';
import { CANARY, CANARY_FILE, canaryName, PlacedFiles } from './placed.ts';

export interface SurveySettings {
  /** Where clamd has its databases, when that is known. */
  readonly directory?: string;
  /** Files may be placed there. */
  readonly placing: boolean;
  /** How long after a change clamd has loaded it for certain, though nothing says so. Undefined: never. */
  readonly settleMs?: number;
  /** Contents that clamd is to look at at once; by default what it and this host can do. */
  readonly atOnce?: number;
}

export interface Known {
  readonly version: Version;
  /** Past a limit clamd says so; where it does not, its OK may mean that it has not looked. */
  readonly tellsLimits: boolean;
  /** Names all databases that answers rest on; differs each time as long as that is not certain. */
  readonly signatures: string;
  readonly signatureCount: number;
}

/** A round trip to clamd and a look at some twenty files; between two calls of `detect` once in so long. */
const FRESH_MS = 1_000;
/** clamd forgets a request that comes while it is loading. */
const RELOAD_AGAIN_MS = 5_000;
const NEST = nestedArchive();

export class Survey {
  readonly placed: PlacedFiles | undefined;
  private readonly clamd: Clamd;
  private readonly settings: SurveySettings;
  private last: { readonly known?: Known; readonly fault?: Error } = {};
  private lastMs = Number.NEGATIVE_INFINITY;
  private readonly stop = new AbortController();
  private running: Promise<void> | undefined;
  private interruptions = -1;
  private reloadMs = Number.NEGATIVE_INFINITY;
  private tellsLimits = false;
  /** The state of the directory that clamd is known to have loaded, and its signatures. */
  private loaded: { digest: string; count: number } | undefined;

  constructor(clamd: Clamd, settings: SurveySettings) {
    this.clamd = clamd;
    this.settings = settings;
    if (settings.placing && settings.directory !== undefined)
      this.placed = new PlacedFiles(settings.directory);
  }

  /** Undefined as long as clamd has not answered. */
  get known(): Known | undefined {
    return this.last.known;
  }

  /** Why clamd is not known. */
  get fault(): Error | undefined {
    return this.last.fault;
  }

  /** Looks again when the last look is old, or clamd may be another one since. Does not reject. */
  refresh(): Promise<void> {
    if (this.running === undefined && this.isFresh()) return Promise.resolve();
    this.running ??= this.look(this.stop.signal).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  close(): void {
    this.stop.abort();
  }

  /** Whether clamd has loaded all that lies in the directory now. Rejects with ClamdError, or as reading it does. */
  async hasLoaded(signal: AbortSignal = this.stop.signal): Promise<boolean> {
    const { directory, placing, settleMs } = this.settings;
    if (directory === undefined) return false;
    const state = await databaseState(directory, CANARY_FILE);
    if (this.loaded?.digest === state.digest) return true;
    const settled = placing ? await this.seesCanary(state, signal) : isOld(state, settleMs);
    if (settled) this.loaded = { digest: state.digest, count: await countSignatures(directory) };
    return settled;
  }

  private isFresh(): boolean {
    return (
      performance.now() - this.lastMs < FRESH_MS &&
      this.interruptions === this.clamd.interruptions &&
      this.fault === undefined
    );
  }

  private async look(signal: AbortSignal): Promise<void> {
    try {
      const interruptions = this.clamd.interruptions;
      if (interruptions !== this.interruptions) await this.meet(signal);
      const certain = await this.hasLoaded(signal).catch(() => false);
      const version = parseVersion(await this.clamd.ask({ command: 'VERSION' }, signal));
      this.interruptions = interruptions;
      this.last = { known: this.describe(version, certain) };
      this.lastMs = performance.now();
    } catch (error) {
      this.last = { fault: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  private describe(version: Version, certain: boolean): Known {
    const { version: number = 'none', date = '' } = version.database ?? {};
    const rest = certain && this.loaded ? this.loaded.digest : `uncertain-${randomUUID()}`;
    return {
      version,
      tellsLimits: this.tellsLimits,
      signatures: `${number}/${date}/${rest}/${this.tellsLimits ? 'limits-told' : 'limits-hidden'}`,
      // clamd does not start without a signature.
      signatureCount: Math.max(1, this.loaded?.count ?? 1),
    };
  }

  /** What a clamd is asked once, and again when it may be another one. */
  private async meet(signal: AbortSignal): Promise<void> {
    const threads = parseThreads(await this.clamd.ask({ command: 'STATS' }, signal));
    this.clamd.atOnce = this.settings.atOnce ?? Math.min(threads, 2 * availableParallelism());
    const answer = parseScan(await this.clamd.ask(streamed(NEST), signal), 'stream');
    this.tellsLimits = answer.told === 'limit';
  }

  private async seesCanary(state: DatabaseState, signal: AbortSignal): Promise<boolean> {
    const isNew = await this.placed?.putCanary(state.digest);
    const answer = parseScan(await this.clamd.ask(streamed(CANARY), signal), 'stream');
    if (answer.told === 'found' && answer.name === canaryName(state.digest)) return true;
    if (isNew || performance.now() - this.reloadMs > RELOAD_AGAIN_MS) {
      this.reloadMs = performance.now();
      await this.clamd.reload();
    }
    return false;
  }
}

const streamed = (content: Buffer) => ({ command: 'INSTREAM', content: () => chunks(content) });

async function* chunks(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

const isOld = ({ changedMs }: DatabaseState, settleMs: number | undefined): boolean =>
  settleMs !== undefined && Date.now() - changedMs > settleMs;
