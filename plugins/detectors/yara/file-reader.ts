import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const REUSED_BYTES = 8 * 1024 * 1024;

/** Reads whole files, most of them into one buffer: new memory for each costs more than the reading. */
export class FileReader {
  private readonly buffer = Buffer.allocUnsafeSlow(REUSED_BYTES);

  /** The content, valid until the next call. Throws the system's error. */
  read(path: string): Buffer {
    const file = openSync(path, 'r');
    try {
      let length = 0;
      for (let read = -1; read !== 0 && length < this.buffer.length; length += read) {
        read = readSync(file, this.buffer, length, this.buffer.length - length, null);
      }
      return length < this.buffer.length ? this.buffer.subarray(0, length) : readFileSync(path);
    } finally {
      closeSync(file);
    }
  }
}
