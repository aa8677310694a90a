/**
 * HTTP/2 frames by hand (RFC 9113, section 4.1: length 24, type 8, flags 8, stream 31 bits), for guests that
 * break its rules.
 */
import type { TLSSocket } from 'node:tls';
import { encodeLine } from '../../protocol/index.ts';

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
  altsvc: 10,
} as const;
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const;

/** HPACK (RFC 7541): index 8 of the static table. */
export const STATUS_200 = Buffer.from([0x88]);
/** `:status` literal: the name by index 8, the value spelled out. */
export const status = (code: number): Buffer => Buffer.from([0x08, 3, ...Buffer.from(String(code))]);

const CLIENT_PREFACE_BYTES = 24;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.writeUInt8(type, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  bytes.set(payload, 9);
  return bytes;
}

export interface Frame {
  readonly type: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Reads the client's frames and hands them on. */
export function onFrames(tls: TLSSocket, take: (frame: Frame) => void): void {
  let held = Buffer.alloc(0);
  let preface = CLIENT_PREFACE_BYTES;
  tls.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    const skipped = Math.min(preface, held.length);
    preface -= skipped;
    held = held.subarray(skipped);
    while (preface === 0 && held.length >= 9 && held.length >= 9 + held.readUIntBE(0, 3)) {
      const end = 9 + held.readUIntBE(0, 3);
      take({ type: held.readUInt8(3), stream: held.readUInt32BE(5), payload: held.subarray(9, end) });
      held = held.subarray(end);
    }
  });
}

/** Speaks HTTP/2 by hand up to the login, and then runs `attack` when the host makes its next request. */
export function logInByHand(tls: TLSSocket, login: unknown, attack: (stream: number) => void): void {
  tls.write(frame(FRAME.settings, 0, 0));
  onFrames(tls, ({ type, stream, payload }) => {
    if (type === FRAME.settings && payload.length > 0) tls.write(frame(FRAME.settings, FLAG.ack, 0));
    if (type === FRAME.data && stream === 1) {
      tls.write(frame(FRAME.data, 0, 1, encodeLine({ type: 'heartbeat' })));
    }
    if (type !== FRAME.headers) return;
    if (stream > 1) return attack(stream);
    tls.write(frame(FRAME.headers, FLAG.endHeaders, 1, STATUS_200));
    tls.write(frame(FRAME.data, 0, 1, encodeLine(login)));
  });
}

/** Writes the same bytes again and again, as fast as they are taken, until the other side has had enough. */
export function flood(tls: TLSSocket, bytes: Buffer): void {
  const more = () => {
    while (!tls.destroyed && tls.write(bytes));
  };
  tls.on('drain', more);
  more();
}
