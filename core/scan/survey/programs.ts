/** Reads what programs of a guest need, many at a time. */
import { encodeBytes, LIMITS, type PieceRequest } from '../../../protocol/index.ts';
import { ChannelError } from '../../channel/error.ts';
import type { GuestSession } from '../../channel/session.ts';
import { Batches } from './batches.ts';
import { pastBound, SURVEY } from './bounds.ts';
import { type Needs, type Piece, readNeeds } from './elf.ts';
import type { GuestFile } from './guest-tree.ts';
import { type KnownNeedsOfGuest, stateKey } from './known-needs.ts';

interface Question {
  readonly path: string;
  readonly pieces: readonly Piece[];
}

/** A request is far below the limits of a message and of an answer. */
const FILES_AT_ONCE = 256;
const REQUEST_CHARACTERS = LIMITS.messageBytes / 4;
const PIECE_CHARACTERS = 32;

export class Programs {
  private readonly session: GuestSession;
  private readonly known: KnownNeedsOfGuest;
  private readonly signal: AbortSignal;
  private readonly reads: Batches<Question, readonly Buffer[]>;
  private read = 0;
  /** The agent is one that reads no pieces. */
  private isRefused = false;

  constructor(session: GuestSession, known: KnownNeedsOfGuest, signal: AbortSignal) {
    this.session = session;
    this.known = known;
    this.signal = signal;
    this.reads = new Batches(FILES_AT_ONCE, (questions) => this.ask(questions));
  }

  /** Undefined for what is no program, and where it cannot be read. Rejects with ChannelError, SurveyError. */
  async needsOf({ path, dev, entry }: GuestFile): Promise<Needs | undefined> {
    if (++this.read > SURVEY.programs) throw pastBound('programs');
    const key = stateKey(dev, entry);
    if (this.known.has(key)) return this.known.get(key);
    const needs = await readNeeds((pieces) => this.reads.answer({ path, pieces }));
    if (!this.isRefused) this.known.keep(key, needs);
    return needs;
  }

  private async ask(questions: readonly Question[]): Promise<(readonly Buffer[])[]> {
    const answers: (readonly Buffer[])[] = [];
    for (const request of requestsOf(questions)) answers.push(...(await this.request(request)));
    return answers;
  }

  private async request(request: PieceRequest): Promise<(readonly Buffer[])[]> {
    const nothing = request.files.map(() => []);
    if (this.isRefused) return nothing;
    const answers: (readonly Buffer[])[] = [];
    try {
      for await (const line of this.session.readPieces(request, this.signal)) {
        answers.push(line.type === 'pieces' ? line.data.map((data) => Buffer.from(data, 'base64')) : []);
      }
      return answers;
    } catch (error) {
      if (!(error instanceof ChannelError) || error.code !== 'refused') throw error;
      // It is older than this request: what the list has by itself is protected all the same.
      this.isRefused = true;
      return nothing;
    }
  }
}

function* requestsOf(questions: readonly Question[]): Generator<PieceRequest> {
  let [files, characters, bytes]: [PieceRequest['files'], number, number] = [[], 0, 0];
  for (const { path, pieces } of questions) {
    const length = 2 * path.length + PIECE_CHARACTERS * pieces.length;
    const read = pieces.reduce((sum, [, count]) => sum + count, 0);
    const isFull = characters + length > REQUEST_CHARACTERS || bytes + read > LIMITS.piecesBytes;
    if (files.length > 0 && isFull) {
      yield { files };
      [files, characters, bytes] = [[], 0, 0];
    }
    const place = encodeBytes(Buffer.from(path, 'latin1'));
    files.push({ path: place, pieces: pieces.map(([offset, count]) => [offset, count]) });
    [characters, bytes] = [characters + length, bytes + read];
  }
  if (files.length > 0) yield { files };
}
