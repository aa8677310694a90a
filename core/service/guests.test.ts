import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HypervisorError } from '../hypervisor/error.ts';
import type { HostDomain } from '../hypervisor/port.ts';
import { type GuestSource, Guests } from './guests.ts';
import { domainOf, MemoryHypervisor, MemorySessions } from './testing/guests.ts';
import { memoryLogger } from './testing/requests.ts';
import { ManualTime, settled } from './testing/time.ts';

const [web, db] = [domainOf('web'), domainOf('db')];

let time: ManualTime;
let sessions: MemorySessions;
let log: ReturnType<typeof memoryLogger>;
let changes: string[];
let guests: Guests;
beforeEach(() => {
  time = new ManualTime(0);
  sessions = new MemorySessions();
  log = memoryLogger();
  changes = [];
  guests = new Guests({
    ...{ sessions, clock: time.clock, setTimer: time.setTimer, logger: log.logger },
    onConnected: ({ name }) => changes.push(`connected ${name}`),
    onChange: ({ domain, kind }) => changes.push(`${kind} ${domain.name}`),
    onGone: (id) => changes.push(`gone ${id}`),
  });
});
afterEach(() => guests[Symbol.asyncDispose]());

const sourceOf = (port: MemoryHypervisor, isSelected = (_: HostDomain) => true): GuestSource => ({
  port,
  isSelected,
});
const names = (): string[] => guests.list().map(({ domain }) => domain.name);

describe('the guests of a source', () => {
  it('are looked after, those that come as well, until they are undefined', async () => {
    const port = new MemoryHypervisor(web);
    await guests.add(sourceOf(port));
    port.tell('defined', db);
    expect(names()).toEqual(['web', 'db']);
    sessions.asked[0]?.accept();
    await settled();
    port.tell('rebooted', { ...web, generation: 2 });
    port.tell('undefined', web);
    expect(names()).toEqual(['db']);
    expect(changes).toEqual(['defined web', 'defined db', 'connected web', 'rebooted web', `gone ${web.id}`]);
  });

  it('are those that are selected, as long as they are', async () => {
    const port = new MemoryHypervisor(web, db);
    await guests.add(sourceOf(port, ({ name }) => name.startsWith('w')));
    expect(names()).toEqual(['web']);
    port.tell('redefined', { ...db, name: 'wdb' });
    port.tell('redefined', { ...web, name: 'hidden' });
    expect(names()).toEqual(['wdb']);
    expect(changes).toEqual(['defined web', 'defined wdb', `gone ${web.id}`]);
  });

  it('are told later by one that cannot be asked now', async () => {
    const port = new MemoryHypervisor();
    port.fault = new HypervisorError('connection-failed', 'it is down');
    await guests.add(sourceOf(port));
    expect(log.lines).toMatchObject([{ level: 'warn', facts: { code: 'connection-failed' } }]);
    port.tell('defined', web);
    expect(names()).toEqual(['web']);
  });

  it('are let go with it, and no others', async () => {
    const [one, other] = [new MemoryHypervisor(web), new MemoryHypervisor(db)];
    const source = sourceOf(one);
    await guests.add(source);
    await guests.add(sourceOf(other));
    sessions.asked[0]?.accept();
    await settled();
    await guests.remove(source);
    await guests.remove(source);
    expect(names()).toEqual(['db']);
    expect(sessions.open[0]?.disposals).toBe(1);
    expect([one.followers, other.followers]).toEqual([0, 1]);
  });
});

describe('a guest that two sources name', () => {
  it('is looked after by the first, whatever the second says of it', async () => {
    const [first, second] = [
      new MemoryHypervisor(web),
      new MemoryHypervisor({ ...web, socket: '/run/other' }),
    ];
    await guests.add(sourceOf(first));
    await guests.add(sourceOf(second));
    second.tell('reverted', { ...web, socket: '/run/other', generation: 7 });
    second.tell('undefined', web);
    expect(guests.find('web').domain).toEqual(web);
    expect(changes).toEqual(['defined web']);
    expect(sessions.dropped).toEqual([]);
  });
});

describe('a name', () => {
  it('stands for one guest, or it is said that it does not', async () => {
    await guests.add(sourceOf(new MemoryHypervisor(web, { ...domainOf('twin'), id: 'a' })));
    await guests.add(sourceOf(new MemoryHypervisor({ ...domainOf('twin'), id: 'b' })));
    expect(guests.find('web').domain.id).toBe(web.id);
    expect(guests.find('b').domain.name).toBe('twin');
    expect(() => guests.find('twin')).toThrow(expect.objectContaining({ code: 'ambiguous-vm' }));
    expect(() => guests.find('no\x1bbody')).toThrow(expect.objectContaining({ code: 'unknown-vm' }));
    expect(() => guests.find('no\x1bbody')).toThrow('no\\x1bbody');
  });
});

describe('many guests at once', () => {
  const many = Array.from({ length: 40 }, (_, index) => domainOf(`vm-${index}`));

  it('connect some at a time, in turn', async () => {
    await guests.add(sourceOf(new MemoryHypervisor(...many)));
    await settled();
    expect(sessions.asked).toHaveLength(32);
    sessions.asked[0]?.accept();
    await settled();
    expect(sessions.asked).toHaveLength(33);
  });

  it('that failed before hold up none that is tried for the first time', async () => {
    const port = new MemoryHypervisor(...many.slice(0, 32));
    await guests.add(sourceOf(port));
    await settled();
    for (const { refuse } of sessions.asked) refuse(new Error('no'));
    await settled();
    // All of them are tried again, and now they let us wait.
    time.pass(1_000);
    await settled();
    expect(sessions.asked).toHaveLength(64);
    port.tell('defined', web);
    await settled();
    expect(sessions.last.domain.name).toBe('web');
  });

  it('are given up while they wait for their turn', async () => {
    await guests.add(sourceOf(new MemoryHypervisor(...many)));
    await guests[Symbol.asyncDispose]();
    expect(sessions.asked).toHaveLength(32);
    expect(names()).toEqual([]);
  });
});
