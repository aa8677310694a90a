import { LineSplitter } from '../../protocol/index.ts';
import type { Exchange } from './exchange.ts';

/**
 * The lines of an answer, the last of them the one that `isLast`, after which nothing may come. `take` checks a
 * line and throws ProtocolError. Throws ChannelError; an answer without a last line is `session-lost`.
 */
export async function* answerLines<Line>(
  exchange: Exchange,
  streamIdle: number,
  take: (untrusted: Buffer) => Line,
  isLast: (line: Line) => boolean,
): AsyncGenerator<Line> {
  const splitter = new LineSplitter();
  try {
    await exchange.answered(200, streamIdle);
    let last: { readonly line: Line } | undefined;
    for (;;) {
      const chunks = await exchange.next(streamIdle);
      if (!chunks) break;
      for (const chunk of chunks) {
        for (const line of exchange.guard(() => Array.from(splitter.push(chunk), take))) {
          if (last) throw exchange.violate('a listing goes on after its end');
          if (isLast(line)) last = { line };
          else yield line;
        }
      }
    }
    exchange.guard(() => splitter.end());
    if (!last) throw exchange.cutShort('a listing stopped before its end');
    yield last.line;
  } finally {
    exchange.abandon();
  }
}
