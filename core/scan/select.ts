import type { ContentItem } from './contents.ts';
import type { Detection } from './detect.ts';
import { batched } from './flow.ts';
import type { FileItem, FileLine, Listed, ListedFile } from './inventory.ts';
import type { KnownGuest } from './known-guest.ts';
import type { LineFile } from './line.ts';
import type { Recall } from './recall.ts';
import type { Tally } from './tally.ts';

/** A file of the guest whose content is to be fetched. */
export type FileToFetch = FileItem & ContentItem;

/** A listed file that some detector wants and whose content is not known. */
export type WantedFile = FileToFetch & { readonly inLine: LineFile };

export interface SelectParts {
  readonly detection: Detection;
  readonly guest: KnownGuest;
  readonly recall: Recall;
  readonly tally: Tally;
  readonly maxFileBytes: number;
}

const REQUEST_FILES = 512;
const REQUEST_BYTES = 16 * 1024 * 1024;
/** What a request holds of the spool while it waits for room for its last file must leave room for that. */
const REQUEST_SHARE = 4;
/** Of a request, all its paths as JSON: it is one message, which has a limit (`LIMITS.messageBytes`), and is held while it waits. */
const REQUEST_PATH_CHARACTERS = 512 * 1024;

/**
 * The listed files that some detector wants, policy lets through and nobody has judged as they are, in batches
 * that fit one request. Rejects with what `listed` rejects with, and with StoreError.
 */
export async function* selectWanted(
  listed: AsyncIterable<Listed>,
  parts: SelectParts,
  signal: AbortSignal,
): AsyncGenerator<WantedFile[]> {
  yield* inRequests(wantedOf(listed, parts, signal), parts.maxFileBytes);
  parts.tally.listingEnded();
}

/** Batches that fit one request. */
export function inRequests<Item extends FileToFetch>(
  files: AsyncIterable<Item> | Iterable<Item>,
  maxFileBytes: number,
): AsyncGenerator<Item[]> {
  const most = Math.min(REQUEST_BYTES, maxFileBytes / REQUEST_SHARE);
  const weightOf = ({ request }: Item): number =>
    Math.floor((most * JSON.stringify(request).length) / REQUEST_PATH_CHARACTERS);
  return batched(files, REQUEST_FILES, most, (file) => file.facts.size + weightOf(file));
}

async function* wantedOf(
  listed: AsyncIterable<Listed>,
  parts: SelectParts,
  signal: AbortSignal,
): AsyncGenerator<WantedFile> {
  const { tally, guest } = parts;
  for await (const { line, known = [], missed = [], leftOut, followed, isCut } of listed) {
    if (followed) tally.followed(followed);
    if (isCut) guest.listingIsCut();
    for (const { path, ...why } of missed) tally.missed(path, why);
    if (leftOut) tally.passedBy(leftOut);
    for (const digest of known) {
      const confirmed = guest.confirm(digest);
      if (confirmed) tally.lineKnown(confirmed, confirmed.isOthers);
    }
    if (line) yield* await wantedOfLine(line, parts, signal);
  }
}

async function wantedOfLine(
  source: FileLine,
  { detection, guest, recall, tally, maxFileBytes }: SelectParts,
  signal: AbortSignal,
): Promise<WantedFile[]> {
  const line = guest.open(source);
  const candidates: (ListedFile & { interest: string })[] = [];
  for (const file of source.files) {
    const { facts } = file;
    tally.listed(1, facts.size);
    const interest = detection.interest({ kind: 'file', facts });
    if (interest === '') {
      tally.fileDone(facts.path, facts.size, { state: 'clean' });
      guest.pass(line, file);
    } else if (facts.size > maxFileBytes) {
      tally.fileDone(facts.path, facts.size, tooLarge(maxFileBytes));
      line.leave();
    } else candidates.push({ ...file, interest });
  }
  return candidates.length > 0 ? recall.toBeFetched(line, candidates, signal) : [];
}

const tooLarge = (maxFileBytes: number) =>
  ({
    state: 'unscanned',
    unfinished: {
      reason: 'too-large',
      detail: `larger than ${maxFileBytes} bytes: see policy.maxFileBytes and spool.bytes`,
    },
  }) as const;
