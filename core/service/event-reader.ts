/** Reads server-sent events, as `api/event-stream.ts` writes them; the primer is there. */
import { read } from './client-transport.ts';
import { ScanEvent } from './views.ts';

/** Of one event: a report with all its findings. */
const LONGEST_EVENT = 64 * 1024 * 1024;

/** Ends with the source. Rejects with ApiError `no-answer` when an event is malformed, and as the source does. */
export async function* readEvents(source: AsyncIterable<Uint8Array>): AsyncGenerator<ScanEvent> {
  for await (const block of blocks(source)) {
    const data = block
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice('data:'.length).trimStart());
    // A comment, which only shows that somebody is there.
    if (data.length > 0) yield read(data.join('\n'), ScanEvent);
  }
}

async function* blocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of source) {
    // Where an end may begin: what was looked at before is not looked at again.
    let from = Math.max(0, text.length - 1);
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n', from); end >= 0; end = text.indexOf('\n\n', from)) {
      yield text.slice(0, end);
      text = text.slice(end + 2);
      from = 0;
    }
    if (text.length > LONGEST_EVENT) throw new Error('an event does not end');
  }
}
