/** SHA-256 of files without their content: NDJSON (`DigestLine`), in the order of the request. A file that cannot be read fails alone. */
import { createHash } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import { ContentRequest, encodeLine, parseMessage, type SentDigestLine } from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import type { Root } from '../linux/root.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { Turns } from '../session/turns.ts';
import { openWanted, UnreadableFile, type Wanted, wantedOf } from './wanted.ts';

const PIECE_BYTES = 256 * 1024;
/** The host awaits a sign of life while a large file is read. */
const SIGN_MS = 2000;
const GROUP_LINES = 64;

/** Throws ProtocolError for a malformed request. */
export async function sendDigests(exchange: Exchange, root: Root, pace: Pace): Promise<void> {
  const { files, maxFileBytes } = parseMessage(ContentRequest, await exchange.body());
  const wanted = files.map(wantedOf);
  exchange.begin('application/x-ndjson');
  const digester = new Digester(root, maxFileBytes, exchange, pace);
  for (const [index, file] of wanted.entries()) await digester.tell(await digester.line(index, file));
  exchange.end(Buffer.concat([...digester.untold(), encodeLine({ type: 'end' })]));
}

class Digester {
  private readonly root: Root;
  private readonly maxFileBytes: number;
  private readonly exchange: Exchange;
  private readonly pace: Pace;
  private readonly turns = new Turns();
  private readonly piece = Buffer.allocUnsafe(PIECE_BYTES);
  private toldAt = performance.now();
  /** What waits to be told: a line alone would cost more than the reading of a small file. */
  private lines: Buffer[] = [];

  constructor(root: Root, maxFileBytes: number, exchange: Exchange, pace: Pace) {
    this.root = root;
    this.maxFileBytes = maxFileBytes;
    this.exchange = exchange;
    this.pace = pace;
  }

  async line(index: number, wanted: Wanted): Promise<SentDigestLine> {
    try {
      const { descriptor, status } = openWanted(wanted, this.root, this.maxFileBytes);
      try {
        const sha256 = await this.digest(descriptor, status.size);
        return { type: 'digest', index, facts: status.facts(), sha256 };
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      if (error instanceof UnreadableFile) return { type: 'failure', index, failure: error.failure };
      if (!errnoOf(error)) throw error;
      return {
        type: 'failure',
        index,
        failure: { reason: 'io-error', detail: messageOf(error).slice(0, 256) },
      };
    }
  }

  /** As many bytes as the file had when it was opened; throws UnreadableFile when it is another length by now. */
  private async digest(descriptor: number, size: number): Promise<string> {
    const sum = createHash('sha256');
    for (let left = size; ; ) {
      const asked = Math.min(PIECE_BYTES, left + 1);
      const read = readSync(descriptor, this.piece, 0, asked, null);
      if (read > left) throw new UnreadableFile('grew');
      sum.update(this.piece.subarray(0, read));
      left -= read;
      await this.turns.next(this.exchange.signal);
      const pause = this.pace.next(this.exchange.signal, read);
      if (pause) await pause;
      await this.sign();
      if (left === 0 && read < asked) return sum.digest('hex');
      if (read === 0) throw new UnreadableFile('shrank');
    }
  }

  /** Sends lines in groups, or when the host has not heard anything for a while. */
  async tell(line: SentDigestLine): Promise<void> {
    this.lines.push(encodeLine(line));
    if (this.lines.length < GROUP_LINES && performance.now() - this.toldAt < SIGN_MS) return;
    this.toldAt = performance.now();
    await this.exchange.write(Buffer.concat(this.untold()));
  }

  untold(): Buffer[] {
    const lines = this.lines;
    this.lines = [];
    return lines;
  }

  private async sign(): Promise<void> {
    if (performance.now() - this.toldAt >= SIGN_MS) await this.tell({ type: 'working' });
  }
}
