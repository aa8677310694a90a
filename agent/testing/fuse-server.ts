/**
 * A FUSE file system that stops answering, for tests: `node fuse-server.ts DIRECTORY MODE`. It says `mounted` and is
 * there until it is killed, which breaks off all that waits for it.
 *
 *   dead  answers nothing at all
 *   read  has the files `one` and `two`, and answers no call that reads them, or makes a directory beside them
 *
 * The kernel writes requests to /dev/fuse and reads answers from it (include/uapi/linux/fuse.h): a request begins with
 * length, opcode, id, inode; an answer with length, negative errno, id. What was read and is not answered cannot be
 * broken off, not even by a signal that kills.
 */
import { constants, openSync, readSync, writeSync } from 'node:fs';
import { libc } from '../linux/ffi.ts';
import { nativeBuffer } from '../linux/memory.ts';

const OP = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  mkdir: 9,
  open: 14,
  read: 15,
  init: 26,
  opendir: 27,
  readdir: 28,
} as const;
const SILENT: readonly number[] = [OP.forget, 42];
const [IN_HEADER, OUT_HEADER] = [40, 16];
const ENOENT = 2;
const ENOSYS = 38;
const FILES = ['one', 'two'];
const [S_IFDIR, S_IFREG] = [0o040755, 0o100644];
const SIZE = 5;

const mount = libc.bind('mount', ['buffer', 'buffer', 'buffer', 'u64', 'buffer']);

function cText(text: string): Buffer {
  const buffer = nativeBuffer(text.length + 1);
  buffer.write(text);
  return buffer;
}

function attributes(node: number): Buffer {
  const isRoot = node === 1;
  const bytes = Buffer.alloc(88);
  bytes.writeBigUInt64LE(BigInt(node), 0);
  bytes.writeBigUInt64LE(BigInt(isRoot ? 0 : SIZE), 8);
  bytes.writeUInt32LE(isRoot ? S_IFDIR : S_IFREG, 60);
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(4096, 80);
  return bytes;
}

function initOut(): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32LE(7, 0);
  bytes.writeUInt32LE(31, 4);
  bytes.writeUInt16LE(12, 16);
  bytes.writeUInt16LE(9, 18);
  bytes.writeUInt32LE(4096, 20);
  bytes.writeUInt32LE(1, 24);
  return bytes;
}

function entry(name: string): Buffer | number {
  const place = FILES.indexOf(name);
  if (place < 0) return ENOENT;
  const head = Buffer.alloc(40);
  head.writeBigUInt64LE(BigInt(place + 2), 0);
  return Buffer.concat([head, attributes(place + 2)]);
}

function directoryEntries(offset: number): Buffer {
  const entries = FILES.slice(offset).map((name, index) => {
    const bytes = Buffer.alloc(24 + Math.ceil(name.length / 8) * 8);
    bytes.writeBigUInt64LE(BigInt(offset + index + 2), 0);
    bytes.writeBigUInt64LE(BigInt(offset + index + 1), 8);
    bytes.writeUInt32LE(name.length, 16);
    bytes.writeUInt32LE(8, 20);
    bytes.write(name, 24);
    return bytes;
  });
  return Buffer.concat(entries);
}

/** The body of an answer, an errno, or undefined where there is no answer. */
function answerTo(opcode: number, node: number, body: Buffer, mode: string): Buffer | number | undefined {
  if (opcode === OP.init) return initOut();
  if (mode === 'dead' || SILENT.includes(opcode)) return undefined;
  switch (opcode) {
    case OP.getattr:
      return Buffer.concat([Buffer.alloc(16), attributes(node)]);
    case OP.lookup:
      return entry(body.subarray(0, body.indexOf(0)).toString());
    case OP.open:
    case OP.opendir:
      return Buffer.alloc(16);
    case OP.readdir:
      return directoryEntries(Number(body.readBigUInt64LE(8)));
    case OP.read:
    case OP.mkdir:
      return undefined;
    default:
      return ENOSYS;
  }
}

function serve(device: number, mode: string): never {
  const buffer = Buffer.alloc(128 * 1024);
  for (;;) {
    const length = readSync(device, buffer);
    const body = buffer.subarray(IN_HEADER, length);
    const answer = answerTo(buffer.readUInt32LE(4), Number(buffer.readBigUInt64LE(16)), body, mode);
    if (answer === undefined) continue;
    const payload = typeof answer === 'number' ? Buffer.alloc(0) : answer;
    const head = Buffer.alloc(OUT_HEADER);
    head.writeUInt32LE(OUT_HEADER + payload.length, 0);
    head.writeInt32LE(typeof answer === 'number' ? -answer : 0, 4);
    buffer.copy(head, 8, 8, 16);
    writeSync(device, Buffer.concat([head, payload]));
  }
}

const [, , directory = '', mode = 'dead'] = process.argv;
const device = openSync('/dev/fuse', constants.O_RDWR);
const options = cText(`fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other`);
if (mount(cText('test'), cText(directory), cText('fuse.lazaret-test'), 0n, options) !== 0) {
  throw new Error(`mount(2) failed with errno ${libc.errno()}`);
}
process.stdout.write('mounted\n');
serve(device, mode);
