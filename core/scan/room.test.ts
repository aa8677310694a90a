import { describe, expect, it } from 'vitest';
import { Room, type RoomShare } from './room.ts';

const signal = new AbortController().signal;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Has the share ask for bytes again and again; notes each time it got them. */
function ask(room: Room, share: RoomShare, name: string, bytes: number, times: number, order: string[]) {
  return Promise.all(
    Array.from({ length: times }, async () => {
      await room.enter(share, bytes, signal);
      order.push(name);
    }),
  );
}

describe('room', () => {
  it('is had by one alone as long as nobody else asks', async () => {
    const room = new Room(100);
    const only = room.share();
    await ask(room, only, 'only', 25, 4, []);
    expect(only.held).toBe(100);
  });

  it('goes next to the one who holds least, until all hold as much', async () => {
    const room = new Room(100);
    const [large, small] = [room.share(), room.share()];
    const order: string[] = [];
    await ask(room, large, 'large', 10, 10, []);
    void ask(room, large, 'large', 10, 20, order);
    void ask(room, small, 'small', 10, 20, order);
    for (let given = 0; given < 5; given++) {
      room.leave(large, 10);
      await turn();
    }
    expect(order).toEqual(['small', 'small', 'small', 'small', 'small']);
    expect([large.held, small.held]).toEqual([50, 50]);
    room.leave(large, 10);
    room.leave(small, 10);
    await turn();
    expect(order.slice(5).toSorted()).toEqual(['large', 'small']);
  });

  it('is kept for the one whose turn it is, however much it asks for', async () => {
    const room = new Room(100);
    const [many, one] = [room.share(), room.share()];
    const order: string[] = [];
    await ask(room, many, 'many', 10, 10, []);
    void ask(room, one, 'one', 100, 1, order);
    void ask(room, many, 'many', 10, 3, order);
    expect(room.tryEnter(room.share(), 0)).toBe(false);
    for (let given = 0; given < 9; given++) room.leave(many, 10);
    await turn();
    expect(order).toEqual([]);
    room.leave(many, 10);
    await turn();
    expect(order).toEqual(['one']);
    room.leave(one, 100);
    await turn();
    expect(order).toEqual(['one', 'many', 'many', 'many']);
  });

  it('is let go of by one who gives up, for those behind it', async () => {
    const room = new Room(100);
    const [holder, leaver, next] = [room.share(), room.share(), room.share()];
    await room.enter(holder, 60, signal);
    const gone = new AbortController();
    const large = room.enter(leaver, 90, gone.signal);
    const small = room.enter(next, 20, signal);
    gone.abort(new Error('gave up'));
    await expect(large).rejects.toThrow('gave up');
    await small;
    expect([room.bytesHeld, leaver.held, next.held]).toEqual([80, 0, 20]);
    await expect(room.enter(next, 1, gone.signal)).rejects.toThrow('gave up');
  });

  it.each([1, 3, 100])('of %i bytes never stalls, whoever asks for however much of it', async (bound) => {
    const room = new Room(bound);
    const scans = Array.from({ length: 5 }, async (_, scan) => {
      const share = room.share();
      for (let step = 0; step < 20; step++) {
        const bytes = 1 + ((scan * 7 + step * 13) % bound);
        await room.enter(share, bytes, signal);
        await turn();
        room.leave(share, bytes);
      }
    });
    await Promise.all(scans);
    expect(room.bytesHeld).toBe(0);
  });
});
