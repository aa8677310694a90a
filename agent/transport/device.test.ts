import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startAgent } from '../agent.ts';
import { libc } from '../linux/ffi.ts';
import { nativeBuffer } from '../linux/memory.ts';
import { serve } from '../serve.ts';
import { makeCertificate, TestHost } from '../testing/host.ts';
import { TempDirectory } from '../testing/tree.ts';
import { Device, openDevice } from './device.ts';

const socketpair = libc.bind('socketpair', ['i32', 'i32', 'i32', 'buffer']);

/** Two connected ends: one as a port is, read and written by blocking calls, the other the host's. */
function connected(): { device: Device; host: Socket } {
  const [AF_UNIX, SOCK_STREAM] = [1, 1];
  const ends = nativeBuffer(8);
  expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends)).toBe(0);
  return { device: new Device(ends.readInt32LE(0)), host: new Socket({ fd: ends.readInt32LE(4) }) };
}

describe('a port', () => {
  it('carries sessions, one after another', async () => {
    using directory = new TempDirectory();
    const lines: string[] = [];
    const agent = await startAgent({
      root: directory.path,
      state: join(directory.path, 'state'),
      denied: new Set(),
      ownFiles: [],
      log: (line) => lines.push(line),
    });
    writeFileSync(join(directory.path, 'large'), Buffer.alloc(3_000_000, 1));
    const { device, host } = connected();
    serve(device, agent);
    device.on('error', (error) => lines.push(String(error)));
    const certificate = await makeCertificate();
    for (let session = 0; session < 3; session++) {
      const client = await TestHost.over(host, certificate);
      await client.login();
      await client.grant('query:content');
      let bytes = 0;
      for await (const { payload } of client.content([{ path: '/large' }])) bytes += payload.length;
      expect(bytes).toBeGreaterThan(3_000_000);
      // The port stays open; the next preamble is what ends the session.
      const closed = once(client.http2, 'close');
      client.http2.destroy();
      await closed;
    }
    device.destroy();
    host.destroy();
  });

  it('tells that the host has left, and goes on waiting for one', async () => {
    const { device, host } = connected();
    device.resume();
    host.write('x');
    await once(device, 'data');
    const gone = once(device, 'hostGone');
    host.end();
    await gone;
    expect(device.destroyed).toBe(false);
    device.destroy();
    host.destroy();
  });

  it('that is not there is named', () => {
    expect(() => openDevice('/dev/virtio-ports/nowhere')).toThrow(
      /\/dev\/virtio-ports\/nowhere cannot be opened/,
    );
  });
});
