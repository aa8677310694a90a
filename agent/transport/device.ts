/**
 * A virtio-serial port as a stream (Linux drivers/char/virtio_console.c). It is a character device that epoll
 * can watch but libuv will not, so it is read and written on the thread pool: a read waits until bytes come,
 * and returns 0 at once, again and again, while no host is connected. The kernel lets one process open it.
 */
import { closeSync, constants, openSync, read, write } from 'node:fs';
import { Duplex } from 'node:stream';
import { messageOf, StartError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';

const READ_BYTES = 64 * 1024;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 1000;

export function openDevice(path: string): Device {
  try {
    return new Device(openSync(path, constants.O_RDWR | constants.O_NOCTTY));
  } catch (cause) {
    const reason =
      errnoOf(cause) === 'EBUSY' ? 'another process has it open; only one can' : messageOf(cause);
    throw new StartError('no-port', `the port ${path} cannot be opened: ${reason}`, { cause });
  }
}

/** Emits `hostGone` when a connected host has left. Writes of one turn go out as one. */
export class Device extends Duplex {
  private readonly descriptor: number;
  private readonly buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  private retryMs = FIRST_RETRY_MS;
  private hostIsThere = false;

  constructor(descriptor: number) {
    super({ writableHighWaterMark: 1024 * 1024 });
    this.descriptor = descriptor;
  }

  override _read(): void {
    read(this.descriptor, this.buffer, 0, READ_BYTES, null, (error, length) => {
      if (error) this.destroy(error);
      else if (length === 0) this.waitForHost();
      else this.receive(length);
    });
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.writeAll(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.writeAll(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    closeSync(this.descriptor);
    done(error);
  }

  private receive(length: number): void {
    this.hostIsThere = true;
    this.retryMs = FIRST_RETRY_MS;
    this.push(Buffer.from(this.buffer.subarray(0, length)));
  }

  private waitForHost(): void {
    if (this.hostIsThere) this.emit('hostGone');
    this.hostIsThere = false;
    setTimeout(() => !this.destroyed && this._read(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, LAST_RETRY_MS);
  }

  private writeAll(bytes: Buffer, done: (error?: Error | null) => void): void {
    write(this.descriptor, bytes, 0, bytes.length, null, (error, written) => {
      if (error || written === bytes.length) done(error);
      else this.writeAll(bytes.subarray(written), done);
    });
  }
}
