/**
 * A ZIP archive in a ZIP archive and so on, deeper than clamd ever looks (MaxRecursion is at most 100): a few
 * kilobytes that exceed a limit of any clamd. What it answers tells whether its OK means that all was looked at.
 * The format: APPNOTE.TXT 6.3.10, local header, central directory and its end; stored, not compressed.
 */
import { crc32 } from 'node:zlib';

const DEPTH = 120;
const NAME = Buffer.from('0');
const LOCAL = { signature: 0x0403_4b50, bytes: 30 };
const CENTRAL = { signature: 0x0201_4b50, bytes: 46 };
const END = { signature: 0x0605_4b50, bytes: 22 };

export function nestedArchive(): Buffer {
  let content: Buffer = Buffer.from('lazaret');
  for (let depth = 0; depth < DEPTH; depth++) content = archive(content);
  return content;
}

function archive(content: Buffer): Buffer {
  const sum = crc32(content);
  const local = Buffer.alloc(LOCAL.bytes);
  local.writeUInt32LE(LOCAL.signature, 0);
  local.writeUInt16LE(10, 4);
  writeSizes(local, 14, sum, content.length);
  const central = Buffer.alloc(CENTRAL.bytes);
  central.writeUInt32LE(CENTRAL.signature, 0);
  central.writeUInt16LE(10, 6);
  writeSizes(central, 16, sum, content.length);
  const end = Buffer.alloc(END.bytes);
  end.writeUInt32LE(END.signature, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(CENTRAL.bytes + NAME.length, 12);
  end.writeUInt32LE(LOCAL.bytes + NAME.length + content.length, 16);
  return Buffer.concat([local, NAME, content, central, NAME, end]);
}

/** Checksum, size as stored, size, and the length of the name. */
function writeSizes(header: Buffer, at: number, sum: number, size: number): void {
  header.writeUInt32LE(sum, at);
  header.writeUInt32LE(size, at + 4);
  header.writeUInt32LE(size, at + 8);
  header.writeUInt16LE(NAME.length, at + 12);
}
