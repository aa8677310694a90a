/**
 * A child process around the native binding. It has no event loop to speak of: it reads requests from
 * descriptor 0 and writes replies to descriptor 3, one JSON line each, blocking on both, so that a file costs
 * little more than its scan, and its end of input is its end. It cannot be interrupted, only killed.
 */
import { readSync, writeSync } from 'node:fs';
import { Lines } from './lines.ts';
import { NativeScanner } from './native-scanner.ts';
import { type Request, reply } from './scanner.ts';

const REQUESTS = 0;
const REPLIES = 3;

function write(line: string): void {
  const bytes = Buffer.from(line);
  for (let at = 0; at < bytes.length; ) at += writeSync(REPLIES, bytes, at);
}

const scanner = new NativeScanner();
const lines = new Lines();
for (;;) {
  const chunk = Buffer.allocUnsafe(64 * 1024);
  const size = readSync(REQUESTS, chunk);
  if (size === 0) break;
  for (const line of lines.push(chunk.subarray(0, size))) {
    write(`${JSON.stringify(reply(scanner, JSON.parse(line) as Request))}\n`);
  }
}
