import { beforeEach, describe, expect, test } from 'vitest';
import { RECORD } from '../../protocol/index.ts';
import { MemoryGuest, sha256Of } from '../../test/memory-guest.ts';
import type { GuestSession } from '../channel/session.ts';
import { ChannelGuestReader } from './guest-reader.ts';

let guest: MemoryGuest;
beforeEach(() => {
  guest = new MemoryGuest();
});

const answering = (...records: [kind: 1 | 2 | 3 | 4, payload: string][]): GuestSession => ({
  ...guest.connect().session,
  async *readContent() {
    yield records.map(([kind, payload]) => ({ kind, index: 0, payload: Buffer.from(payload) }));
  },
});
const FACTS = `{"dev":"1","ino":"2","size":3,"mtime":"1.000000000","ctime":"1.000000000","mode":33188,"uid":1,"gid":2,"links":1}`;

describe('a file of the guest', () => {
  test('comes with its content, permissions and owner', async () => {
    guest.write('/etc/x', 'one\ntwo\n', 0o640);
    const file = await new ChannelGuestReader(guest.connect().session).readFile('/etc/x');
    const content = Buffer.from('one\ntwo\n');
    expect(file).toEqual({ content, sha256: sha256Of(content), mode: 0o640, uid: 0, gid: 0 });
  });

  test('that is not there is undefined', async () => {
    expect(await new ChannelGuestReader(guest.connect().session).readFile('/etc/x')).toBeUndefined();
  });

  test('that is too large or unreadable is an error, never an absence', async () => {
    guest.write('/etc/x', Buffer.alloc(4 * 1024 * 1024 + 1));
    const reader = new ChannelGuestReader(guest.connect().session);
    await expect(reader.readFile('/etc/x')).rejects.toThrow(
      expect.objectContaining({ code: 'unreadable', message: expect.stringContaining('too-large') }),
    );
    const denied = answering([RECORD.fail, '{"reason":"unreadable","detail":"\\u001b[31mno"}']);
    await expect(new ChannelGuestReader(denied).readFile('/etc/x')).rejects.toThrow(
      'cannot be read in the guest: unreadable (\\x1b[31mno)',
    );
  });

  test('that does not come whole, or malformed, is refused', async () => {
    const cut = answering([RECORD.open, FACTS], [RECORD.data, 'abc']);
    await expect(new ChannelGuestReader(cut).readFile('/x')).rejects.toThrow('did not come whole');
    await expect(new ChannelGuestReader(answering()).readFile('/x')).rejects.toThrow('did not come whole');
    const malformed = answering([RECORD.open, '{}']);
    await expect(new ChannelGuestReader(malformed).readFile('/x')).rejects.toThrow(
      expect.objectContaining({ code: 'malformed-message' }),
    );
    await expect(new ChannelGuestReader(cut).readFile('relative')).rejects.toThrow(
      expect.objectContaining({ code: 'malformed-path' }),
    );
  });
});
