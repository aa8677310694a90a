import type { ContentItem } from './contents.ts';
import type { Detection } from './detect.ts';
import { batched } from './flow.ts';
import type { FileItem, Listed } from './inventory.ts';
import type { Tally } from './tally.ts';

/** A listed file that some detector wants. */
export type WantedFile = FileItem & ContentItem;

const REQUEST_FILES = 512;
const REQUEST_BYTES = 16 * 1024 * 1024;
/** What a request holds of the spool while it waits for room for its last file must leave room for that. */
const REQUEST_SHARE = 4;

/** The listed files that some detector wants and policy lets through, in batches that fit one request. */
export async function* selectWanted(
  listed: AsyncIterable<Listed>,
  detection: Detection,
  maxFileBytes: number,
  tally: Tally,
): AsyncGenerator<WantedFile[]> {
  yield* batched(
    wantedOf(listed, detection, maxFileBytes, tally),
    REQUEST_FILES,
    Math.min(REQUEST_BYTES, maxFileBytes / REQUEST_SHARE),
    ({ facts }) => facts.size,
  );
  tally.listingEnded();
}

async function* wantedOf(
  listed: AsyncIterable<Listed>,
  detection: Detection,
  maxFileBytes: number,
  tally: Tally,
): AsyncGenerator<WantedFile> {
  for await (const { files, missed } of listed) {
    for (const { path, ...why } of missed) tally.missed(path, why);
    for (const { path, facts } of files) {
      tally.listed(1, facts.size);
      const interest = detection.interest({ kind: 'file', facts });
      if (interest === '') tally.fileDone(facts.path, facts.size, { state: 'clean' });
      else if (facts.size > maxFileBytes) tally.fileDone(facts.path, facts.size, tooLarge(maxFileBytes));
      else yield { request: { path: path.wire }, path, facts, interest };
    }
  }
}

const tooLarge = (maxFileBytes: number) =>
  ({
    state: 'unscanned',
    unfinished: {
      reason: 'too-large',
      detail: `larger than ${maxFileBytes} bytes: see policy.maxFileBytes and spool.bytes`,
    },
  }) as const;
