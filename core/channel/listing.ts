/**
 * The listing of a guest's files, page by page: the guest walks on only when it is asked for the next page, so
 * that neither side ever holds more than one, however many files there are.
 */
import { hash } from 'node:crypto';
import {
  type InventoryLine,
  type InventoryRequest,
  LINE_DIGEST_BYTES,
  ROUTES,
} from '../../protocol/index.ts';
import type { Exchange } from './exchange.ts';
import { InventoryCheck } from './inventory.ts';
import { readInventoryLine } from './inventory-line.ts';
import { answerLines } from './lines.ts';
import type { Link } from './link.ts';
import type { KnownLines, ListedLine } from './session.ts';
import { ignoreHandled } from './tls.ts';

type MoreLine = Extract<InventoryLine, { type: 'more' }>;

const NONE: KnownLines = { digests: [], has: () => false };

/** As `GuestSession.listFiles`. */
export async function* listFiles(
  link: Link,
  request: InventoryRequest,
  signal: AbortSignal | undefined,
  known: KnownLines = NONE,
): AsyncGenerator<ListedLine> {
  const check = new InventoryCheck(request, known);
  let page = await begin(link, request, known, signal);
  for (;;) {
    let more: MoreLine | undefined;
    for await (const line of linesOf(page, check, link)) {
      if (line.type === 'more') more = line;
      else yield line;
    }
    if (!more) return;
    page = await next(link, more.walk, signal);
  }
}

async function begin(
  link: Link,
  request: InventoryRequest,
  { digests }: KnownLines,
  signal: AbortSignal | undefined,
): Promise<Exchange> {
  const head = Buffer.from(`${JSON.stringify(request)}\n`, 'utf8');
  const body = Buffer.alloc(head.length + digests.length * LINE_DIGEST_BYTES);
  head.copy(body);
  for (const [place, digest] of digests.entries()) {
    body.write(digest, head.length + place * LINE_DIGEST_BYTES, 'hex');
  }
  const contentType = 'application/octet-stream';
  const exchange = await link.begin({ method: 'POST', path: ROUTES.files, contentType }, signal);
  exchange.readsAhead = true;
  exchange.finish(body);
  return exchange;
}

async function next(link: Link, walk: string, signal: AbortSignal | undefined): Promise<Exchange> {
  const path = `${ROUTES.walk}${walk}`;
  try {
    const exchange = await link.begin({ method: 'POST', path }, signal);
    exchange.readsAhead = true;
    return exchange;
  } catch (error) {
    if (!link.over) void drop(link, path).catch(ignoreHandled);
    throw error;
  }
}

/** A walk that nobody goes on with would wait in the guest as long as the session lives. */
async function drop(link: Link, path: string): Promise<void> {
  const exchange = await link.begin({ method: 'DELETE', path });
  await exchange.answered(204, link.deadlines.command).finally(() => exchange.abandon());
}

async function* linesOf(
  page: Exchange,
  check: InventoryCheck,
  link: Link,
): AsyncGenerator<ListedLine | MoreLine> {
  let bytes = 0;
  const take = (untrusted: Buffer): Taken => {
    bytes += untrusted.length;
    const read = readInventoryLine(untrusted);
    const { line, misfits } = read;
    check.line(read);
    if (line.type === 'more') check.page(bytes);
    if (line.type !== 'directory') return { line, faults: [] };
    const digest = hash('sha256', untrusted, 'buffer').toString('hex', 0, LINE_DIGEST_BYTES);
    const listed = { ...line, digest, ...(misfits.length > 0 && { misfits: misfits.length }) };
    return { line: listed, faults: check.faultsOf(read) };
  };
  for await (const { line, faults } of answerLines(page, link.deadlines.streamIdle, take, isLastOfPage)) {
    yield line;
    yield* faults;
  }
}

/** A line, and what stands for those of its entries that do not fit. */
interface Taken {
  readonly line: ListedLine | MoreLine;
  readonly faults: readonly ListedLine[];
}

const isLastOfPage = ({ line: { type } }: Taken): boolean => type === 'end' || type === 'more';
