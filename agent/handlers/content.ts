/** File contents, many to a request, as records (`protocol/records.ts`). A file that cannot be read fails alone. */
import { closeSync } from 'node:fs';
import { type ContentFault, ContentRequest, GuestPath, parseMessage } from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { openExecutable } from '../linux/process.ts';
import type { OpenedFile, Root } from '../linux/root.ts';
import type { Exchange } from '../session/exchange.ts';
import { RecordWriter } from './record-writer.ts';

/** What is to be read: a file by its path, or the executable of a process. */
type Wanted = GuestPath | { readonly pid: number; readonly start: string };

/** Throws ProtocolError for a malformed request. */
export async function sendContent(exchange: Exchange, root: Root): Promise<void> {
  const { files, maxFileBytes } = parseMessage(ContentRequest, await exchange.body());
  const wanted: Wanted[] = files.map((file) => ('path' in file ? GuestPath.of(file.path) : file));
  exchange.begin('application/octet-stream');
  const records = new RecordWriter(exchange);
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
  let file: OpenedFile | undefined;
  try {
    file =
      wanted instanceof GuestPath ? root.openRegular(wanted) : openExecutable(wanted.pid, wanted.start, root);
  } catch (error) {
    await records.fail(index, faultOf(error), messageOf(error));
    return;
  }
  if (!file) {
    await records.fail(index, 'not-regular');
    return;
  }
  try {
    const { size } = file.status;
    if (size > maxFileBytes) await records.fail(index, 'too-large');
    else await copyContent(records, index, file, size);
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

function faultOf(error: unknown): ContentFault {
  switch (errnoOf(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ESRCH':
      return 'vanished';
    case 'ELOOP':
      return 'not-regular';
    case 'EIO':
      return 'io-error';
    default:
      return 'unreadable';
  }
}
