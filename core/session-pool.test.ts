import { beforeEach, describe, expect, it } from 'vitest';
import { ChannelError } from './channel/error.ts';
import { domainOf, MemorySessions } from './service/testing/guests.ts';
import { settled } from './service/testing/time.ts';
import { SessionPool } from './session-pool.ts';

const web = { id: 'web', name: 'web', socket: '/run/web.sock' };
const never = new AbortController().signal;

let sessions: MemorySessions;
let pool: SessionPool;
beforeEach(() => {
  sessions = new MemorySessions();
  pool = new SessionPool(sessions.acquire);
});

describe('a session', () => {
  it('is opened once for all who work with a guest, and closed when the last gives it back', async () => {
    const [first, second] = [pool.acquire(web, never), pool.acquire(web, never)];
    const session = sessions.last.accept();
    const [one, other] = await Promise.all([first, second]);
    expect(sessions.asked).toHaveLength(1);
    expect(one.guest).toBe(other.guest);
    await one[Symbol.asyncDispose]();
    await one[Symbol.asyncDispose]();
    expect(session.disposals).toBe(0);
    await other[Symbol.asyncDispose]();
    expect(session.disposals).toBe(1);
  });

  it('is each guest’s own', async () => {
    void pool.acquire(web, never);
    void pool.acquire(domainOf('db') as typeof web, never);
    expect(sessions.asked).toHaveLength(2);
  });

  it('stays for the others when one of them does not want it any more', async () => {
    const impatient = new AbortController();
    const [first, second] = [pool.acquire(web, impatient.signal), pool.acquire(web, never)];
    impatient.abort();
    await expect(first).rejects.toMatchObject({ code: 'cancelled' });
    expect(sessions.last.signal.aborted).toBe(false);
    const session = sessions.last.accept();
    await (await second)[Symbol.asyncDispose]();
    expect(session.disposals).toBe(1);
  });

  it('is not opened to its end when nobody wants it any more', async () => {
    const impatient = new AbortController();
    const only = pool.acquire(web, impatient.signal);
    impatient.abort();
    await expect(only).rejects.toMatchObject({ code: 'cancelled' });
    expect(sessions.last.signal.aborted).toBe(true);
    await expect(pool.acquire(web, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
    expect(sessions.asked).toHaveLength(1);
  });

  it('that cannot be opened is told to all who wait, and tried anew for the next', async () => {
    const waiting = [pool.acquire(web, never), pool.acquire(web, never)];
    sessions.last.refuse(new ChannelError('no-agent', 'nobody answers'));
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: 'no-agent' });
    const again = pool.acquire(web, never);
    await settled();
    sessions.last.accept();
    await again;
    expect(sessions.asked).toHaveLength(2);
  });

  it('that broke is not given to the next', async () => {
    const first = pool.acquire(web, never);
    sessions.last.accept().end(new ChannelError('silent', 'nothing was heard'));
    await first;
    await settled();
    void pool.acquire(web, never);
    expect(sessions.asked).toHaveLength(2);
  });
});

describe('a session that is dropped', () => {
  it('ends for all, once, and the next one is opened when it is closed', async () => {
    const first = pool.acquire(web, never);
    const session = sessions.last.accept();
    const access = await first;
    const closed = Promise.withResolvers<void>();
    session[Symbol.asyncDispose] = () => {
      session.disposals += 1;
      return closed.promise;
    };
    const dropped = pool.drop('web');
    const next = pool.acquire(web, never);
    await settled();
    expect(sessions.asked).toHaveLength(1);
    closed.resolve();
    await dropped;
    await settled();
    expect(sessions.asked).toHaveLength(2);
    sessions.last.accept();
    await next;
    await access[Symbol.asyncDispose]();
    expect(session.disposals).toBe(1);
  });

  it('while it is being opened is given up', async () => {
    const waiting = pool.acquire(web, never);
    const told = expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    await pool.drop('web');
    await told;
    await pool.drop('nobody');
  });

  it('gives way to one on another socket', async () => {
    const first = pool.acquire(web, never);
    const session = sessions.last.accept();
    await first;
    const second = pool.acquire({ ...web, socket: '/run/moved.sock' }, never);
    await settled();
    expect(session.disposals).toBe(1);
    expect(sessions.last.domain.socket).toBe('/run/moved.sock');
    sessions.last.accept();
    await second;
  });

  it('may fail to close without keeping the next from being opened', async () => {
    const first = pool.acquire(web, never);
    const session = sessions.last.accept();
    await first;
    session[Symbol.asyncDispose] = () => Promise.reject(new Error('stuck'));
    await expect(pool.drop('web')).rejects.toThrow('stuck');
    void pool.acquire(web, never);
    await settled();
    expect(sessions.asked).toHaveLength(2);
  });
});
