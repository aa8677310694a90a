/** A session whose guest is held to a pace, and its listing to the time that policy gives it. */
import type {
  ContentRecord,
  ContentRequest,
  Features,
  Grant,
  InventoryRequest,
  LoginRequest,
  Outcome,
  PieceRequest,
  SealedInstruction,
} from '../../protocol/index.ts';
import type {
  GuestSession,
  KnownLines,
  ListedLine,
  ListedProcess,
  ReadPieces,
  UntrustedClaim,
} from '../channel/session.ts';
import { EARNED, earnedByClaim, earnedByLine, earnedByRecords, type Pace, tooSlow } from './pace.ts';

/** The agent keeps the time itself, by a clock of its own; what is under way when it is over still comes. */
const LISTING_SLACK_MS = 60_000;

/** Besides ChannelError, what gives items rejects with ScanError `too-slow`. */
export class PacedSession implements GuestSession {
  readonly id: string;
  readonly epoch: number;
  readonly login: LoginRequest;
  readonly ended: Promise<Error | undefined>;
  private readonly session: GuestSession;
  private readonly pace: Pace;
  private readonly clock: () => number;

  constructor(session: GuestSession, pace: Pace, clock: () => number = () => performance.now()) {
    this.session = session;
    this.pace = pace;
    this.clock = clock;
    this.id = session.id;
    this.epoch = session.epoch;
    this.login = session.login;
    this.ended = session.ended;
  }

  queryFeatures(signal?: AbortSignal): Promise<Features> {
    return this.pace.waiting(this.session.queryFeatures(signal));
  }

  grant(grant: Grant, signal?: AbortSignal): Promise<void> {
    return this.pace.waiting(this.session.grant(grant, signal));
  }

  async *listFiles(
    request: InventoryRequest,
    signal?: AbortSignal,
    known?: KnownLines,
  ): AsyncGenerator<ListedLine> {
    const longest = request.maxSeconds * 1000 + LISTING_SLACK_MS;
    yield* this.taken(this.session.listFiles(request, signal, known), earnedByLine, longest);
  }

  readContent(request: ContentRequest, signal?: AbortSignal): AsyncGenerator<readonly ContentRecord[]> {
    return this.taken(this.session.readContent(request, signal), earnedByRecords);
  }

  claimDigests(request: ContentRequest, signal?: AbortSignal): AsyncGenerator<UntrustedClaim> {
    const earned = (claim: UntrustedClaim) => earnedByClaim(claim, request.maxFileBytes);
    return this.taken(this.session.claimDigests(request, signal), earned);
  }

  readPieces(request: PieceRequest, signal?: AbortSignal): AsyncGenerator<ReadPieces> {
    return this.taken(this.session.readPieces(request, signal), () => EARNED.file);
  }

  listProcesses(signal?: AbortSignal): AsyncGenerator<ListedProcess> {
    return this.taken(this.session.listProcesses(signal), ({ type }) =>
      type === 'fault' ? 0 : EARNED.process,
    );
  }

  stage(sha256: string, content: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    return this.pace.waiting(this.session.stage(sha256, content, signal));
  }

  /** What became of a command is always told, however late. */
  async send(sealed: SealedInstruction, signal?: AbortSignal): Promise<Outcome> {
    const outcome = await this.pace.waiting(this.session.send(sealed, signal));
    this.pace.earn(EARNED.outcome);
    return outcome;
  }

  close(): Promise<void> {
    return this.session.close();
  }

  /** `longest`: milliseconds that may be waited for all items together. */
  private async *taken<Item>(
    items: AsyncIterable<Item>,
    earned: (item: Item) => number,
    longest = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<Item> {
    const iterator = items[Symbol.asyncIterator]();
    let left = longest;
    try {
      for (;;) {
        const begun = this.clock();
        const next = await this.pace.waiting(iterator.next());
        if (next.done) return;
        this.pace.earn(earned(next.value));
        this.pace.check();
        left -= this.clock() - begun;
        if (left < 0) throw tooSlow('its listing takes longer than policy.inventory.maxTime');
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
}
