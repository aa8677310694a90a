import { finished } from 'node:stream/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../error.ts';
import { type AppParts, factsOf } from './app.ts';
import { streamEvents } from './event-stream.ts';

/** A reader that was sent the end and does not take it is let go after so many heartbeats. */
const PATIENCE = 4;

/** `GET /v1/scans/:id/events`. A `Last-Event-ID` is taken and means nothing: where a scan stands is told at once. */
export async function follow(
  request: FastifyRequest<{ Params: { id: string } }>,
  reply: FastifyReply,
  { operations, limits, audit, closing }: AppParts,
  followers: { now: number },
): Promise<void> {
  const { id } = request.params;
  if (followers.now >= limits.followers)
    throw new ApiError(
      'too-many-connections',
      `${followers.now} scans are followed already: try again later`,
    );
  followers.now += 1;
  try {
    // An unknown scan is answered as any other unknown thing is.
    await operations.scan(id);
    const stop = new AbortController();
    const close = () => stop.abort();
    closing.addEventListener('abort', close);
    if (closing.aborted) close();
    reply.hijack();
    const { heartbeat } = limits.timeouts;
    const { waitingBytes } = limits;
    try {
      const events = operations.followScan(id, stop.signal);
      const end = await streamEvents(reply.raw, events, stop, { heartbeat, waitingBytes });
      if (end === 'slow-reader') audit.refused(factsOf(request), 'slow-reader');
      await letGo(reply.raw, heartbeat * PATIENCE);
    } catch (error) {
      // The head is out: the reader sees a stream that breaks off.
      audit.failed(factsOf(request), error);
    } finally {
      closing.removeEventListener('abort', close);
    }
  } finally {
    followers.now -= 1;
  }
}

/** Its place is free when its last bytes are gone. */
async function letGo(response: FastifyReply['raw'], milliseconds: number): Promise<void> {
  const deadline = setTimeout(() => response.destroy(), milliseconds);
  await finished(response).catch(() => undefined);
  clearTimeout(deadline);
}
