/** File contents, many to a request, as records (`protocol/records.ts`). A file that cannot be read fails alone. */
import { ContentRequest, parseMessage } from '../../protocol/index.ts';
import type { Readers } from '../reader/readers.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { sendAll } from './outflow.ts';
import { wantedOf } from './wanted.ts';

/** Throws ProtocolError for a malformed request. */
export async function sendContent(exchange: Exchange, readers: Readers, pace: Pace): Promise<void> {
  const request = parseMessage(ContentRequest, await exchange.body());
  request.files.forEach(wantedOf);
  exchange.begin('application/octet-stream');
  await sendAll(exchange, readers.work({ kind: 'content', request, state: { index: 0 } }), pace);
  exchange.end();
}
