/**
 * Content that the host stages for restore:file and update:file: in the state directory, under its SHA-256,
 * until it is used or the session ends.
 */
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS, ProtocolError, sha256 as sha256Schema } from '../../protocol/index.ts';
import { RefusedError } from '../error.ts';
import { SparseWriter } from '../linux/sparse.ts';
import type { Exchange } from '../session/exchange.ts';

export const stagedDirectory = (state: string): string => join(state, 'staged');

/** Removes what an earlier run of the agent left behind. */
export function clearStaged(state: string): void {
  rmSync(stagedDirectory(state), { recursive: true, force: true });
  mkdirSync(stagedDirectory(state), { mode: 0o700 });
}

interface Arrival {
  bytes: number;
  readonly hash: Hash;
}

export class Staging {
  private readonly directory: string;
  /** Hash and size. */
  private readonly held = new Map<string, number>();
  /** Held and arriving. */
  private bytes = 0;

  constructor(state: string) {
    this.directory = stagedDirectory(state);
  }

  /** Takes the body as the content with this hash. Throws RefusedError, ProtocolError. */
  async receive(untrustedHash: string, exchange: Exchange): Promise<void> {
    const { success, data: hash } = sha256Schema.safeParse(untrustedHash);
    if (!success) throw new ProtocolError('malformed-message', 'staged content is named by its SHA-256');
    const path = join(this.directory, `${randomUUID()}.part`);
    const arrival: Arrival = { bytes: 0, hash: createHash('sha256') };
    try {
      await this.copy(exchange, path, arrival);
      const actual = arrival.hash.digest('hex');
      if (actual !== hash) throw new RefusedError('bad-request', `the content has the SHA-256 ${actual}`);
      exchange.signal.throwIfAborted();
      this.drop(hash);
      renameSync(path, join(this.directory, hash));
      this.held.set(hash, arrival.bytes);
    } catch (error) {
      this.bytes -= arrival.bytes;
      rmSync(path, { force: true });
      throw error;
    }
  }

  /** Where the content with this hash lies; undefined when it was not staged in this session. */
  find(hash: string): string | undefined {
    return this.held.has(hash) ? join(this.directory, hash) : undefined;
  }

  drop(hash: string): void {
    this.bytes -= this.held.get(hash) ?? 0;
    if (this.held.delete(hash)) rmSync(join(this.directory, hash), { force: true });
  }

  /** The session is over. */
  clear(): void {
    for (const hash of this.held.keys()) this.drop(hash);
  }

  private async copy(exchange: Exchange, path: string, arrival: Arrival): Promise<void> {
    const file = await open(path, 'wx', 0o600);
    const writer = new SparseWriter(file.fd);
    try {
      for await (const part of exchange.received()) {
        arrival.bytes += part.length;
        this.bytes += part.length;
        if (this.bytes > LIMITS.stagedBytes) {
          throw new RefusedError('too-large', `more than ${LIMITS.stagedBytes} bytes would be staged`);
        }
        arrival.hash.update(part);
        await writer.write(part);
      }
      await writer.end();
    } finally {
      await file.close();
    }
  }
}
