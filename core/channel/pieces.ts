import { PieceLine, type PieceRequest, ProtocolError, parseMessage, ROUTES } from '../../protocol/index.ts';
import { answerLines } from './lines.ts';
import type { Link } from './link.ts';
import type { ReadPieces } from './session.ts';

/** As `GuestSession.readPieces`. */
export async function* readPieces(
  link: Link,
  request: PieceRequest,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadPieces> {
  const head = { method: 'POST', path: ROUTES.pieces, contentType: 'application/json' } as const;
  const exchange = await link.begin(head, signal);
  exchange.finish(Buffer.from(JSON.stringify(request), 'utf8'));
  let next = 0;
  const take = (untrusted: Buffer): PieceLine => {
    const line = parseMessage(PieceLine, untrusted);
    if (line.type !== 'end') check(line, request, next++);
    return line;
  };
  for await (const line of answerLines(exchange, link.deadlines.streamIdle, take, isEnd)) {
    if (line.type !== 'end') yield line;
  }
  if (next !== request.files.length) throw link.violated('pieces of files are missing');
}

/** Throws ProtocolError for an answer out of turn, and for more than was asked for. */
function check(line: ReadPieces, { files }: PieceRequest, turn: number): void {
  const file = files[turn];
  if (line.index !== turn || !file) {
    throw new ProtocolError('record-out-of-turn', `pieces: file ${line.index}`);
  }
  if (line.type === 'failure') return;
  const fits = file.pieces.every(
    ([, bytes], at) => Buffer.byteLength(line.data[at] ?? '', 'base64') <= bytes,
  );
  if (!fits || line.data.length !== file.pieces.length) {
    throw new ProtocolError('malformed-message', 'pieces of a file are not those that were asked for');
  }
}

const isEnd = ({ type }: { readonly type: string }): boolean => type === 'end';
