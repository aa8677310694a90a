/**
 * From fetched contents to verdicts. Equal contents are judged once: the same bytes under many names, in the
 * same batch or an earlier one, go to the same detectors a single time.
 */
import type { FileFacts as OpenedFacts } from '../../protocol/index.ts';
import type { FileFacts, FileSubject, UnscannedReason } from '../api/index.ts';
import type { Detection } from './detect.ts';
import type { Fetchable, Fetched } from './fetch.ts';
import { batchedEach, parallel } from './flow.ts';
import type { Content } from './spool.ts';
import type { Verdict } from './verdict.ts';

/** A content that can be fetched, with what detectors are told of the file it stands for. */
export interface ContentItem extends Fetchable {
  readonly facts: FileFacts;
  /** The detectors that want it (`Detection.interest`). */
  readonly interest: string;
}

/** An item with its verdict. `opened` is absent when it was not fetched. The taker releases `content`. */
export interface Judged<Item> {
  readonly item: Item;
  readonly verdict: Verdict;
  readonly opened?: { readonly facts: OpenedFacts; readonly content: Content };
}

type Arrived<Item extends Fetchable> = Extract<Fetched<Item>, { content: Content }>;

const BATCH_ITEMS = 128;
/** A batch is judged as a whole, so it must be small beside the spool (here: its largest content), or nothing would move any more. */
const BATCH_SHARE = 8;
const BATCH_BYTES = 16 * 1024 * 1024;
/** Verdicts on contents that are remembered within one scan. */
const REMEMBERED = 100_000;

export class ContentJudge {
  private readonly detection: Detection;
  private readonly width: number;
  private readonly batchBytes: number;
  private readonly known = new Map<string, Promise<Verdict>>();

  constructor(detection: Detection, width: number, largest: number) {
    this.detection = detection;
    this.width = width;
    this.batchBytes = Math.min(BATCH_BYTES, largest / BATCH_SHARE);
  }

  /** Verdicts in the order in which they come. */
  async *judge<Item extends ContentItem>(
    fetched: AsyncIterable<Fetched<Item>[]>,
    signal: AbortSignal,
  ): AsyncGenerator<Judged<Item>[]> {
    const batches = batchedEach(fetched, BATCH_ITEMS, this.batchBytes, weight);
    const work = (batch: Fetched<Item>[]) => this.judgeBatch(batch, signal);
    yield* parallel(batches, this.width, work);
  }

  private async *judgeBatch<Item extends ContentItem>(
    batch: readonly Fetched<Item>[],
    signal: AbortSignal,
  ): AsyncGenerator<Judged<Item>[]> {
    const arrived = batch.filter((fetched) => 'content' in fetched);
    this.detectNew(arrived, signal);
    const judged: Judged<Item>[] = [];
    for (const fetched of batch) {
      if ('content' in fetched) {
        const { item, facts, content } = fetched;
        const verdict = await (this.known.get(keyOf(fetched)) as Promise<Verdict>);
        judged.push({ item, verdict, opened: { facts, content } });
      } else judged.push({ item: fetched.item, verdict: unscanned(fetched) });
    }
    this.forget();
    yield judged;
  }

  /** Sends the contents that nobody has judged or is judging to the detectors, all in one go. */
  private detectNew<Item extends ContentItem>(arrived: readonly Arrived<Item>[], signal: AbortSignal): void {
    const fresh = new Map<string, Arrived<Item>>();
    for (const fetched of arrived) {
      const key = keyOf(fetched);
      if (!this.known.has(key)) fresh.set(key, fetched);
    }
    const verdicts = this.detection.verdicts([...fresh.values()].map(subjectOf), signal);
    for (const key of fresh.keys()) {
      this.known.set(
        key,
        verdicts.then((all) => all.get(key) as Verdict),
      );
    }
  }

  /** Forgets the oldest verdicts, and never one that is still awaited: those are the newest. */
  private forget(): void {
    for (const key of this.known.keys()) {
      if (this.known.size <= REMEMBERED) return;
      this.known.delete(key);
    }
  }
}

/** A verdict holds for a content and for those who looked at it. */
function keyOf<Item extends ContentItem>({ item, content }: Arrived<Item>): string {
  return content.digests.sha256 + item.interest;
}

function subjectOf<Item extends ContentItem>(arrived: Arrived<Item>): FileSubject {
  const { path, size, digests } = arrived.content;
  return { kind: 'file', id: keyOf(arrived), content: path, size, digests, facts: arrived.item.facts };
}

function unscanned(failed: { readonly unscanned: UnscannedReason; readonly detail?: string }): Verdict {
  const { unscanned: reason, detail } = failed;
  return { state: 'unscanned', unfinished: { reason, ...(detail && { detail }) } };
}

function weight<Item extends Fetchable>(fetched: Fetched<Item>): number {
  return 'content' in fetched ? fetched.content.size : 0;
}
