/**
 * Guests whose channels are sockets that come and go below one place: one is there while its QEMU runs. A socket
 * that was made anew is a guest that was started anew.
 */
import { type FSWatcher, type Stats, watch } from 'node:fs';
import { glob, stat } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { HypervisorError } from './error.ts';
import type { DomainChange, DomainChangeKind, HypervisorStatus, ReachableDomain } from './port.ts';
import { type SocketsPort, socketDomain } from './sockets.ts';

export interface SocketGlobOptions {
  /** An absolute path with `*` and `?` in any of its parts: `/run/vms/lazaret-*.sock`. */
  readonly glob: string;
  /** What a guest is called by: its socket's file without extension, or the folder in which that lies. */
  readonly nameFrom: 'file' | 'folder';
  /** UUIDs by name: their agents must then report the same one. */
  readonly uuids?: Readonly<Record<string, string>> | undefined;
  readonly logger: Logger;
  /** How often it is looked, besides at once where the system tells of a change. */
  readonly pollMs?: number | undefined;
}

const POLL_MS = 2000;
/** As names are in the configuration. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

interface Seen {
  readonly domain: ReachableDomain;
  readonly made: string;
}

export class SocketGlob implements SocketsPort {
  status: HypervisorStatus = { state: 'connected', since: new Date() };
  private readonly options: SocketGlobOptions;
  private readonly seen = new Map<string, Seen>();
  /** Of guests that are gone as well: a number is not used twice. */
  private readonly generations = new Map<string, number>();
  private readonly said = new Set<string>();
  private readonly listeners = new Set<(change: DomainChange) => void>();
  private readonly timer: NodeJS.Timeout;
  private readonly watcher: FSWatcher | undefined;
  private looking: Promise<void> | undefined;
  private listed = false;

  constructor(options: SocketGlobOptions) {
    this.options = options;
    this.timer = setInterval(() => void this.look(), options.pollMs ?? POLL_MS).unref();
    this.watcher = this.watchPlace();
    void this.look();
  }

  /** Rejects with HypervisorError where the place cannot be read. */
  async listDomains(): Promise<readonly ReachableDomain[]> {
    await this.look();
    if (this.status.state === 'reconnecting' && this.status.error) throw this.status.error;
    return [...this.seen.values()]
      .map(({ domain }) => domain)
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  watch(listener: (change: DomainChange) => void): Disposable {
    const own = (change: DomainChange) => listener(change);
    this.listeners.add(own);
    return { [Symbol.dispose]: () => void this.listeners.delete(own) };
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.watcher?.close();
    this.listeners.clear();
    await this.looking;
    this.status = { state: 'closed' };
  }

  /** One look at a time; who asks during one has its result. */
  private look(): Promise<void> {
    if (this.status.state === 'closed') return Promise.resolve();
    this.looking ??= this.lookNow()
      .then(() => this.up())
      .catch((error) => this.down(error))
      .finally(() => {
        this.looking = undefined;
      });
    return this.looking;
  }

  private up(): void {
    this.listed = true;
    if (this.status.state === 'reconnecting') this.status = { state: 'connected', since: new Date() };
  }

  private down(cause: Error): void {
    const message = `sockets cannot be looked for at ${displayText(this.options.glob)}: ${cause.message}`;
    const error = new HypervisorError('refused', message, { cause });
    const { status } = this;
    const before =
      status.state === 'reconnecting' ? status : { since: new Date(), attempts: 0, error: undefined };
    this.status = { state: 'reconnecting', since: before.since, error, attempts: before.attempts + 1 };
    if (before.error?.message !== message) this.options.logger.warn(message);
  }

  private async lookNow(): Promise<void> {
    const found = await this.sockets();
    const names = new Set<string>();
    for (const [path, made] of found) {
      const name = this.nameOf(path);
      if (name === undefined || this.isTaken(name, names, path)) continue;
      names.add(name);
      this.see(path, { name, made });
    }
    for (const [path, { domain }] of this.seen) {
      if (found.has(path)) continue;
      this.seen.delete(path);
      this.tell('undefined', domain);
    }
  }

  /** What is no socket, or goes meanwhile, is left out. By path. */
  private async sockets(): Promise<Map<string, string>> {
    const paths: string[] = [];
    for await (const path of glob(this.options.glob)) paths.push(resolve(path));
    const found = new Map<string, string>();
    for (const path of paths.sort()) {
      const stats = await statsOf(path);
      if (stats?.isSocket()) found.set(path, `${stats.ino}@${stats.birthtimeMs}`);
    }
    return found;
  }

  private see(path: string, { name, made }: { name: string; made: string }): void {
    const before = this.seen.get(path);
    if (before?.made === made) return;
    const generation = (this.generations.get(path) ?? 0) + 1;
    this.generations.set(path, generation);
    const domain = socketDomain(path, { name, uuid: this.uuidOf(name), generation });
    this.seen.set(path, { domain, made });
    if (before === undefined) this.tell('defined', domain);
    if (this.listed) this.tell('started', domain);
  }

  private uuidOf(name: string): string | undefined {
    const { uuids = {} } = this.options;
    return Object.hasOwn(uuids, name) ? uuids[name] : undefined;
  }

  private nameOf(path: string): string | undefined {
    const name = this.options.nameFrom === 'file' ? basename(path, extname(path)) : basename(dirname(path));
    if (NAME.test(name)) return name;
    this.sayOnce(path, 'its name has other characters than letters, digits, ".", "_" and "-"');
    return undefined;
  }

  private isTaken(name: string, names: ReadonlySet<string>, path: string): boolean {
    if (!names.has(name)) return false;
    this.sayOnce(path, `another socket gives the name ${name} as well`);
    return true;
  }

  private sayOnce(path: string, reason: string): void {
    if (this.said.has(path)) return;
    this.said.add(path);
    this.options.logger.warn(`${displayText(path)} is left out: ${reason}`);
  }

  private tell(kind: DomainChangeKind, domain: ReachableDomain): void {
    const change = { kind, domain, at: new Date() };
    for (const listener of this.listeners) {
      try {
        listener(change);
      } catch (error) {
        this.options.logger.warn('a listener for changes of domains failed', { error });
      }
    }
  }

  /** Of the last folder before the first pattern; nothing where it is not there (yet). */
  private watchPlace(): FSWatcher | undefined {
    const parts = this.options.glob.split('/');
    const place = parts
      .slice(
        0,
        Math.max(
          parts.findIndex((part) => /[*?[{]/.test(part)),
          1,
        ),
      )
      .join('/');
    try {
      return watch(place || '/', { persistent: false }, () => void this.look()).on('error', () => undefined);
    } catch {
      // Then it is found by looking now and then.
      return undefined;
    }
  }
}

async function statsOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch {
    return undefined;
  }
}
