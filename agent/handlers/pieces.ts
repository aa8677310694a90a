/** Some bytes of files: NDJSON (`PieceLine`), in the order of the request. A file that cannot be read fails alone. */
import { closeSync, readSync } from 'node:fs';
import {
  encodeLine,
  GuestPath,
  type PieceLine,
  PieceRequest,
  parseMessage,
  requirePiecesFit,
} from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import type { OpenedFile } from '../linux/root.ts';
import type { Readers } from '../reader/readers.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { sendAll } from './outflow.ts';
import { UnreadableFile } from './wanted.ts';

type Wanted = PieceRequest['files'][number];

const LONGEST_DETAIL = 256;

/** Throws ProtocolError for a malformed request, and for one that asks for too much. */
export async function sendPieces(exchange: Exchange, readers: Readers, pace: Pace): Promise<void> {
  const request = parseMessage(PieceRequest, await exchange.body());
  requirePiecesFit(request);
  for (const { path } of request.files) GuestPath.of(path);
  exchange.begin('application/x-ndjson');
  await sendAll(exchange, readers.work({ kind: 'pieces', request, state: { index: 0 } }), pace);
  exchange.end(encodeLine({ type: 'end' } satisfies PieceLine));
}

/** The line of one file, which `open` opens, and how much of it was read; `note` is called before each call that could wait. */
export function pieceLine(
  index: number,
  pieces: Wanted['pieces'],
  open: () => OpenedFile,
  note: () => void,
): { readonly line: PieceLine; readonly bytes: number } {
  try {
    const { descriptor } = open();
    try {
      const read = pieces.map(([offset, bytes]) => {
        note();
        return readPiece(descriptor, offset, bytes);
      });
      const data = read.map((piece) => piece.toString('base64'));
      const bytes = read.reduce((sum, { length }) => sum + length, 0);
      return { line: { type: 'pieces', index, data }, bytes };
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    return { line: { type: 'failure', index, failure: failureOf(error) }, bytes: 0 };
  }
}

function readPiece(descriptor: number, offset: number, bytes: number): Buffer {
  const piece = Buffer.allocUnsafe(bytes);
  let filled = 0;
  for (let read = -1; filled < bytes && read !== 0; filled += read) {
    read = readSync(descriptor, piece, filled, bytes - filled, offset + filled);
  }
  return piece.subarray(0, filled);
}

function failureOf(error: unknown): Extract<PieceLine, { type: 'failure' }>['failure'] {
  if (error instanceof UnreadableFile) return error.failure;
  if (!errnoOf(error)) throw error;
  return { reason: 'io-error', detail: messageOf(error).slice(0, LONGEST_DETAIL) };
}
