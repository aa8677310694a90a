/**
 * Takes up packs while the engine runs: those that the state directory names, and archives that appear in a
 * watched directory. Whoever writes there can only offer what a trusted vendor signed.
 *
 * An archive is taken when nobody has written to it for a while, so that it may be copied there as well as
 * renamed. What was looked at is not looked at again before it changes.
 */
import { type BigIntStats, type FSWatcher, watch } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../api/index.ts';
import type { Packs } from './packs.ts';

const SUFFIX = '.tar.zst';
const SETTLED_MS = 1_000;

export interface PackWatchParts {
  /** Undefined: none is watched. */
  readonly directory: string | undefined;
  readonly packs: Pick<Packs, 'update' | 'reload'>;
  readonly logger: Logger;
  readonly clock: () => number;
}

/** No method rejects: what goes wrong is logged, and the packs in use stay. */
export class PackWatch {
  private readonly parts: PackWatchParts;
  private readonly stopped = new AbortController();
  /** What was looked at: a mark of each archive by its name. */
  private readonly seen = new Map<string, string>();
  private turn: Promise<void> = Promise.resolve();
  private started = false;
  private watcher: FSWatcher | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(parts: PackWatchParts) {
    this.parts = parts;
  }

  /** Looks once; then whenever something in the directory changes, until it is stopped or `signal` is aborted. */
  start(signal: AbortSignal): Promise<void> {
    this.started = true;
    if (signal.aborted) return this.stop();
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    return this.look();
  }

  /** Looks at once, after a look that is under way. A directory that was not there is watched from now on. */
  look(): Promise<void> {
    this.turn = this.turn.then(async () => {
      if (this.stopped.signal.aborted) return;
      this.follow();
      await this.reload();
      await this.lookInto(this.parts.directory);
    });
    return this.turn;
  }

  /** A pack that is being installed is given up. */
  stop(): Promise<void> {
    this.stopped.abort();
    clearTimeout(this.timer);
    this.watcher?.close();
    return this.turn;
  }

  private follow(): void {
    const { directory } = this.parts;
    if (!this.started || directory === undefined) return;
    this.watcher?.close();
    try {
      this.watcher = watch(directory, { persistent: false }, () => this.lookLater());
      this.watcher.on('error', (error) => this.cannotWatch(error));
    } catch (error) {
      this.cannotWatch(error);
    }
  }

  private cannotWatch(error: unknown): void {
    this.watcher?.close();
    this.parts.logger.warn(
      `packs.watch cannot be watched: make the directory, then send SIGHUP (${(error as Error).message})`,
    );
  }

  private lookLater(): void {
    if (this.timer !== undefined || this.stopped.signal.aborted) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.look();
    }, SETTLED_MS).unref();
  }

  private async reload(): Promise<void> {
    try {
      await this.parts.packs.reload();
    } catch (error) {
      this.parts.logger.warn(`the packs could not be taken up anew: ${(error as Error).message}`);
    }
  }

  private async lookInto(directory: string | undefined): Promise<void> {
    if (directory === undefined) return;
    // One that is not there was told of when it was to be watched.
    const names = await readdir(directory).catch(() => []);
    for (const name of names.filter(isArchive).sort()) {
      const facts = await lstat(join(directory, name), { bigint: true }).catch(() => undefined);
      if (facts === undefined) continue;
      if (Math.abs(this.parts.clock() - Number(facts.mtimeMs)) < SETTLED_MS) this.lookLater();
      else if (this.seen.get(name) !== markOf(facts)) await this.take(directory, name, markOf(facts));
      if (this.stopped.signal.aborted) return;
    }
  }

  private async take(directory: string, name: string, mark: string): Promise<void> {
    const { packs, logger } = this.parts;
    const path = join(directory, name);
    try {
      const change = await packs.update(path, this.stopped.signal);
      if (change === undefined) logger.debug(`${path}: nothing newer than what was installed`);
      else {
        const { vendor, id, active, before } = change;
        const instead = before ? ` instead of ${before.version}` : '';
        logger.info(`${path}: ${vendor}/${id} ${active.version} is in use${instead}`);
      }
    } catch (error) {
      if (this.stopped.signal.aborted) return;
      logger.warn(
        `${path} is refused, and not looked at again before it changes: ${(error as Error).message}`,
      );
    }
    this.seen.set(name, mark);
  }
}

/** Hidden names are those of programs that copy under another name first, such as rsync. */
const isArchive = (name: string): boolean => name.endsWith(SUFFIX) && !name.startsWith('.');

const markOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [dev, ino, size, mtimeNs, ctimeNs].join();
