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
import type { Arrival } from './arrival.ts';
import type { Admission, Content, Intake } from './spool.ts';

/** Something whose content can be asked for. */
export interface Fetchable {
  readonly request: ContentRequest['files'][number];
  /** What is known of it before it is opened. */
  readonly facts?: { readonly size: number };
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

/** An item that turned out to be larger than there was room for in the spool, and its size. */
interface Outgrown<Item> {
  readonly item: Item;
  readonly size: number;
}

/**
 * Fetches one batch, whole: an answer that has begun is read to its end without a pause, for one that waits at
 * the guest can keep the others waiting behind it. Back-pressure holds back the next request instead: it is
 * sent when there is room in the spool for all that it asks for. What turns out to be larger by then, and does
 * not fit, is asked for once more by itself. What the guest had not sent when the channel was lost is
 * `channel-lost`; that error is thrown after.
 */
export async function* fetchContents<Item extends Fetchable>(
  session: GuestSession,
  batch: readonly Item[],
  spool: Intake,
  policy: FetchPolicy,
  signal: AbortSignal,
): AsyncGenerator<Fetched<Item>[]> {
  const sizeOf = ({ facts }: Item): number => Math.min(facts?.size ?? 0, policy.maxFileBytes);
  const outgrown = yield* fetchAtOnce(session, batch, batch.map(sizeOf), spool, policy, signal);
  for (const { item, size } of outgrown) {
    const again = yield* fetchAtOnce(session, [item], [size], spool, policy, signal);
    if (again.length > 0)
      yield [{ item, unscanned: 'spool-full', detail: 'it grows faster than room can be made' }];
  }
}

/** One request, sent when there is room for contents of these sizes. Gives the items that outgrew it. */
async function* fetchAtOnce<Item extends Fetchable>(
  session: GuestSession,
  batch: readonly Item[],
  sizes: readonly number[],
  spool: Intake,
  policy: FetchPolicy,
  signal: AbortSignal,
): AsyncGenerator<Fetched<Item>[], readonly Outgrown<Item>[]> {
  const request = { files: batch.map((item) => item.request), maxFileBytes: policy.maxFileBytes };
  const admission = await spool.admit(sizes, signal);
  const receiver = new Receiver(batch, admission, policy.digests);
  const fetched: Fetched<Item>[] = [];
  try {
    for await (const records of session.readContent(request, signal)) {
      for (const record of records) {
        const result = await receiver.take(record);
        if (result) fetched.push(result);
      }
    }
  } catch (error) {
    if (error instanceof ChannelError) yield [...fetched, ...receiver.lost(error)];
    throw error;
  } finally {
    receiver.drop();
    admission[Symbol.dispose]();
  }
  yield fetched;
  return receiver.outgrown;
}

/** Puts the records of one response together. Their turn and sizes were checked by the session. */
class Receiver<Item extends Fetchable> {
  readonly outgrown: Outgrown<Item>[] = [];
  private readonly batch: readonly Item[];
  private readonly admission: Admission;
  private readonly digests: readonly DigestName[];
  private current: { facts: FileFacts; arrival: Arrival | undefined } | undefined;
  private completed = 0;

  constructor(batch: readonly Item[], admission: Admission, digests: readonly DigestName[]) {
    this.batch = batch;
    this.admission = admission;
    this.digests = digests;
  }

  async take(record: ContentRecord): Promise<Fetched<Item> | undefined> {
    const item = this.batch[record.index] as Item;
    switch (record.kind) {
      case RECORD.open: {
        const facts = parseMessage(FileFacts, record.payload);
        this.current = { facts, arrival: this.admission.begin(facts.size, this.digests) };
        return undefined;
      }
      case RECORD.data: {
        const writing = this.current?.arrival?.write(record.payload);
        if (writing) await writing;
        return undefined;
      }
      case RECORD.end: {
        const { facts, arrival } = this.current as NonNullable<typeof this.current>;
        this.current = undefined;
        this.completed += 1;
        if (arrival) return { item, facts, content: arrival.finish() };
        this.outgrown.push({ item, size: facts.size });
        return undefined;
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
    const items = [...this.outgrown.map(({ item }) => item), ...this.batch.slice(this.completed)];
    return items.map((item) => ({ item, unscanned, detail: error.message }));
  }

  drop(): void {
    this.current?.arrival?.discard();
    this.current = undefined;
  }
}
