/** SHA-256 of files without their content: NDJSON (`DigestLine`), in the order of the request. A file that cannot be read fails alone. */
import { ContentRequest, type DigestLine, encodeLine, parseMessage } from '../../protocol/index.ts';
import type { Readers } from '../reader/readers.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { sendAll } from './outflow.ts';
import { wantedOf } from './wanted.ts';

/** The host awaits a sign of life while a large file is read. */
const SIGN = { line: { type: 'working' } satisfies DigestLine, afterMs: 2000 };

/** Throws ProtocolError for a malformed request. */
export async function sendDigests(exchange: Exchange, readers: Readers, pace: Pace): Promise<void> {
  const request = parseMessage(ContentRequest, await exchange.body());
  request.files.forEach(wantedOf);
  exchange.begin('application/x-ndjson');
  const work = readers.work({ kind: 'digests', request, state: { index: 0 } });
  await sendAll(exchange, work, pace, { sign: SIGN });
  exchange.end(encodeLine({ type: 'end' } satisfies DigestLine));
}
