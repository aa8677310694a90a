/** Fetching: the contents of listed files and of running executables, many to a request, into the spool. */
import {
  type ContentFailure,
  type ContentRecord,
  type ContentRequest,
  ContentFailure as Failure,
  FileFacts,
  parseMessage,
  RECORD,
} from '../../protocol/index.ts';
import type { DigestName, UnscannedReason } from '../api/index.ts';
import { ChannelError } from '../channel/error.ts';
import type { GuestSession } from '../channel/session.ts';
import type { Arrival, Content, Intake } from './spool.ts';

/** Something whose content can be asked for. */
export interface Fetchable {
  readonly request: ContentRequest['files'][number];
}

/** A content with the facts of the descriptor that it was read from, or why there is none. */
export type Fetched<Item extends Fetchable> = { readonly item: Item } & (
  | { readonly facts: FileFacts; readonly content: Content }
  | { readonly unscanned: UnscannedReason; readonly detail?: string }
);

export interface FetchPolicy {
  /** No more than the spool's `largest`. */
  readonly maxFileBytes: number;
  readonly digests: readonly DigestName[];
}

/**
 * Fetches one batch, whole: an answer that has begun is read to its end without a pause, for one that waits at
 * the guest can keep the others waiting behind it. Back-pressure holds back the next request instead. What the
 * guest had not sent when the channel was lost is `channel-lost`; that error is thrown after.
 */
export async function* fetchContents<Item extends Fetchable>(
  session: GuestSession,
  batch: readonly Item[],
  spool: Intake,
  policy: FetchPolicy,
  signal: AbortSignal,
): AsyncGenerator<Fetched<Item>[]> {
  const request = { files: batch.map((item) => item.request), maxFileBytes: policy.maxFileBytes };
  const receiver = new Receiver(batch, spool, policy.digests, signal);
  const fetched: Fetched<Item>[] = [];
  try {
    for await (const records of session.readContent(request, signal)) {
      for (const record of records) {
        const result = await receiver.take(record);
        if (result) fetched.push(result);
      }
    }
    yield fetched;
  } catch (error) {
    if (error instanceof ChannelError) yield [...fetched, ...receiver.lost(error)];
    throw error;
  } finally {
    receiver.drop();
  }
}

/** Puts the records of one response together. Their turn and sizes were checked by the session. */
class Receiver<Item extends Fetchable> {
  private readonly batch: readonly Item[];
  private readonly spool: Intake;
  private readonly digests: readonly DigestName[];
  private readonly signal: AbortSignal;
  private current: { facts: FileFacts; arrival: Arrival } | undefined;
  private completed = 0;

  constructor(batch: readonly Item[], spool: Intake, digests: readonly DigestName[], signal: AbortSignal) {
    this.batch = batch;
    this.spool = spool;
    this.digests = digests;
    this.signal = signal;
  }

  async take(record: ContentRecord): Promise<Fetched<Item> | undefined> {
    const item = this.batch[record.index] as Item;
    switch (record.kind) {
      case RECORD.open: {
        const facts = parseMessage(FileFacts, record.payload);
        this.current = { facts, arrival: await this.spool.begin(facts.size, this.digests, this.signal) };
        return undefined;
      }
      case RECORD.data:
        this.current?.arrival.write(record.payload);
        return undefined;
      case RECORD.end: {
        const { facts, arrival } = this.current as { facts: FileFacts; arrival: Arrival };
        const content = arrival.finish();
        this.current = undefined;
        this.completed += 1;
        return { item, facts, content };
      }
      case RECORD.fail: {
        this.drop();
        this.completed += 1;
        const { reason, detail }: ContentFailure = parseMessage(Failure, record.payload);
        return { item, unscanned: reason, ...(detail && { detail }) };
      }
    }
  }

  /** All items that the response did not get to. */
  lost(error: ChannelError): Fetched<Item>[] {
    const unscanned = error.code === 'cancelled' ? 'cancelled' : 'channel-lost';
    return this.batch.slice(this.completed).map((item) => ({ item, unscanned, detail: error.message }));
  }

  drop(): void {
    this.current?.arrival.discard();
    this.current = undefined;
  }
}
