import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Witness } from './witness.ts';

let directory: string;
let server: Server;
let witness: Witness;
let guest: Socket;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-witness-'));
  server = createServer().listen(join(directory, 'socket'));
  await once(server, 'listening');
  const connected = once(server, 'connection') as Promise<[Socket]>;
  witness = await Witness.connect(join(directory, 'socket'));
  [guest] = await connected;
});
afterEach(() => {
  witness.close();
  guest.destroy();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

describe('the witness', () => {
  it('is ready when it says so, whatever came before', async () => {
    guest.write('noise of a boot\r\nready\r\n');
    await expect(witness.ready()).resolves.toBeUndefined();
  });

  it('gives output over several lines, and the status', async () => {
    const answer = witness.ask('cat', '/etc/hostname');
    expect(String(await once(guest, 'data'))).toBe('cat /etc/hostname\n');
    guest.write('aGVs\r\nbG8=\r\n= 0\r\n');
    expect(await answer).toEqual({ status: 0, output: Buffer.from('hello') });
  });

  it('asks one thing at a time', async () => {
    const first = witness.ask('cat', '/a');
    const second = witness.ask('cat', '/b');
    expect(String(await once(guest, 'data'))).toBe('cat /a\n');
    guest.write('= 1\r\n');
    expect((await first).status).toBe(1);
    expect(String(await once(guest, 'data'))).toBe('cat /b\n');
    guest.write('= 0\r\n');
    expect((await second).status).toBe(0);
  });

  it('fails when the guest goes away in the middle', async () => {
    const answer = witness.ask('sync');
    guest.end('YWJj\r\n');
    await expect(answer).rejects.toThrow('went away');
  });
});
