/**
 * Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): blocks of `field: value`
 * lines, each block ended by an empty one; a line that starts with a colon is a comment. JSON has no line breaks,
 * so an event's data is one line whatever a guest put into it.
 *
 * Nobody waits for a reader. Progress that it is too slow for is left out; when more than `waitingBytes` of other
 * events wait for it, or anything waits for so long as several signs of life, it is let go.
 */
import type { ServerResponse } from 'node:http';
import type { ScanEvent } from '../views.ts';

export interface StreamOptions {
  /** In milliseconds. */
  readonly heartbeat: number;
  readonly waitingBytes: number;
}

export type StreamEnd = 'ended' | 'reader-gone' | 'slow-reader';

/** What is still waiting after so many signs of life is not taken any more. */
const PATIENCE = 4;
/** Of what may wait, so much may be progress: it never is what a reader is let go for. */
const PROGRESS_SHARE = 0.25;

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
} as const;

/**
 * Writes the events to the response, which is ours from here on, and ends it. `stop` ends the following, and is
 * aborted when the reader goes. Rejects with what the events reject with, after the connection was cut: an end
 * that is no `ended` tells the reader so.
 */
export async function streamEvents(
  response: ServerResponse,
  events: AsyncIterable<ScanEvent>,
  stop: AbortController,
  options: StreamOptions,
): Promise<StreamEnd> {
  response.writeHead(200, HEADERS);
  response.write(': lazaret\n\n');
  // A reader that goes is no error of ours; its `close` follows.
  response.on('error', () => stop.abort());
  response.on('close', () => stop.abort());
  const stall = new Stall(response);
  const heartbeat = setInterval(() => stall.beat(), options.heartbeat);
  try {
    const end = await writeAll(response, events, stop.signal, options.waitingBytes);
    return stall.wasCut ? 'slow-reader' : end;
  } catch (error) {
    response.destroy();
    if (stop.signal.aborted) return stall.wasCut ? 'slow-reader' : 'reader-gone';
    throw error;
  } finally {
    clearInterval(heartbeat);
    stop.abort();
  }
}

/** A reader that takes nothing, though little is sent: it would keep its place for as long as the scan goes on. */
class Stall {
  wasCut = false;
  private readonly response: ServerResponse;
  private beats = 0;

  constructor(response: ServerResponse) {
    this.response = response;
  }

  beat(): void {
    this.beats = this.response.writableLength > 0 ? this.beats + 1 : 0;
    this.wasCut = this.beats > PATIENCE;
    if (this.wasCut) this.response.destroy();
    else this.response.write(': \n\n');
  }
}

async function writeAll(
  response: ServerResponse,
  events: AsyncIterable<ScanEvent>,
  signal: AbortSignal,
  waitingBytes: number,
): Promise<StreamEnd> {
  let id = 0;
  let ended = false;
  for await (const event of events) {
    if (signal.aborted) break;
    if (event.type === 'progress' && response.writableLength > waitingBytes * PROGRESS_SHARE) continue;
    // Before the next one is added: a report is as large as it is.
    if (response.writableLength > waitingBytes) {
      response.destroy();
      return 'slow-reader';
    }
    response.write(block(id++, event));
    ended = event.type === 'ended';
  }
  if (ended) response.end();
  else response.destroy();
  return ended ? 'ended' : 'reader-gone';
}

const block = (id: number, event: ScanEvent): string =>
  `id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
