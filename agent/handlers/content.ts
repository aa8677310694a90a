/** File contents, many to a request, as records (`protocol/records.ts`). A file that cannot be read fails alone. */
import { closeSync } from 'node:fs';
import { ContentRequest, parseMessage } from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import type { OpenedFile, Root } from '../linux/root.ts';
import type { Exchange } from '../session/exchange.ts';
import type { Pace } from '../session/pace.ts';
import { RecordWriter } from './record-writer.ts';
import { openWanted, UnreadableFile, type Wanted, wantedOf } from './wanted.ts';

/** Throws ProtocolError for a malformed request. */
export async function sendContent(exchange: Exchange, root: Root, pace: Pace): Promise<void> {
  const { files, maxFileBytes } = parseMessage(ContentRequest, await exchange.body());
  const wanted = files.map(wantedOf);
  exchange.begin('application/octet-stream');
  const records = new RecordWriter(exchange, pace);
  for (const [index, file] of wanted.entries()) await sendFile(records, index, file, root, maxFileBytes);
  await records.flush();
  exchange.end();
}

async function sendFile(
  records: RecordWriter,
  index: number,
  wanted: Wanted,
  root: Root,
  maxFileBytes: number,
): Promise<void> {
  let file: OpenedFile;
  try {
    file = openWanted(wanted, root, maxFileBytes);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    await records.fail(index, error.failure.reason, error.failure.detail);
    return;
  }
  try {
    await copyContent(records, index, file, file.status.size);
  } finally {
    closeSync(file.descriptor);
  }
}

/** The size in OPEN is a promise: a file that turns out shorter or longer fails. */
async function copyContent(
  records: RecordWriter,
  index: number,
  { descriptor, status }: OpenedFile,
  size: number,
): Promise<void> {
  await records.open(index, JSON.stringify(status.facts()));
  for (let left = size; ; ) {
    const read = await records.copy(index, descriptor, left);
    if (read instanceof Error) return records.fail(index, 'io-error', messageOf(read));
    if (read.bytes > left) return records.fail(index, 'grew');
    left -= read.bytes;
    if (left === 0 && read.isShort) return records.finish(index);
    if (read.bytes === 0) return records.fail(index, 'shrank');
  }
}
