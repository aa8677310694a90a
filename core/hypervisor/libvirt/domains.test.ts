import { describe, expect, it } from 'vitest';
import { type Change, Domains } from './domains.ts';
import type { DomainFacts, EventMessage } from './messages.ts';

const uuid = '4dea22b3-1d52-d8f3-2516-782e98ab3fa0';
const off: DomainFacts = { uuid, name: 'web', state: 'off', persistent: true, metadata: [], port: 'absent' };
const running: DomainFacts = {
  ...off,
  runId: 1,
  state: 'running',
  socket: '/run/1.sock',
  socketMade: '7@1',
  port: 'disconnected',
};
const paused: DomainFacts = { ...running, state: 'paused' };

const lifecycle = (type: number, detail: number, facts?: DomainFacts): EventMessage => ({
  uuid,
  event: 'lifecycle',
  type,
  detail,
  ...(facts && { facts }),
});
const told = (changes: readonly Change[]): string[] =>
  changes.map(({ kind, domain }) => `${kind} ${domain.generation}`);

function domainsWith(...facts: DomainFacts[]): Domains {
  const domains = new Domains();
  domains.replaceAll(facts);
  return domains;
}

describe('what is known of domains', () => {
  it('begins with what a list tells', () => {
    const domains = new Domains();
    expect(told(domains.replaceAll([running]))).toEqual(['defined 1']);
    expect(domains.get(uuid)).toEqual({
      id: uuid,
      uuid,
      name: 'web',
      state: 'running',
      port: 'disconnected',
      socket: '/run/1.sock',
      persistent: true,
      metadata: [],
      generation: 1,
    });
  });

  it('does not change when the same is told again', () => {
    const domains = domainsWith(running);
    expect(domains.replaceAll([{ ...running }])).toEqual([]);
    expect(domains.see(running)).toEqual([]);
  });

  it('is shown by name', () => {
    const names = ['b', 'a', 'C'].map((name) => ({ ...off, name, uuid: `${name}${uuid.slice(1)}` }));
    expect(
      domainsWith(...names)
        .all()
        .map(({ name }) => name),
    ).toEqual(['C', 'a', 'b']);
  });

  it.each<[string, DomainFacts, DomainFacts, string[]]>([
    ['a start', off, running, ['started 2']],
    ['a stop', running, off, ['stopped 1']],
    ['a pause', running, paused, ['paused 1']],
    ['a resumption', paused, running, ['resumed 1']],
    ['a sleep', running, { ...running, state: 'suspended' }, ['paused 1']],
    ['a crash that is kept', running, { ...running, state: 'crashed' }, ['crashed 1']],
    ['a start that nobody told of', running, { ...running, runId: 2 }, ['started 2']],
    ['a guest that opens its port', running, { ...running, port: 'connected' }, ['port 1']],
    ['a socket that was replaced', running, { ...running, socketMade: '8@2' }, ['port 1']],
    ['a socket that cannot be looked at', running, { ...running, socketMade: undefined } as never, []],
    ['another name', running, { ...running, name: 'www' }, ['redefined 1']],
    ['another title', running, { ...running, title: 'Web' }, ['redefined 1']],
    ['a fault', off, { ...off, fault: { code: 'port-in-use', message: 'x' } }, ['redefined 1']],
  ])('changes with %s', (_what, before, after, expected) => {
    expect(told(domainsWith(before).see(after))).toEqual(expected);
  });

  it('ends with the domain, stopped first if it ran', () => {
    const domains = domainsWith(running);
    const changes = domains.take(lifecycle(1, 0));
    expect(told(changes)).toEqual(['stopped 1', 'undefined 1']);
    expect(changes[0]?.domain).not.toHaveProperty('socket');
    expect(domains.all()).toEqual([]);
    expect(domains.take(lifecycle(1, 0))).toEqual([]);
    expect(told(domainsWith(off).replaceAll([]))).toEqual(['undefined 1']);
  });
});

describe('events and lists of the same', () => {
  it('tell of one start, whichever is first', () => {
    const [event, list] = [domainsWith(off), domainsWith(off)];
    expect(told([...event.take(lifecycle(2, 0, running)), ...event.see(running)])).toEqual(['started 2']);
    expect(told([...list.see(running), ...list.take(lifecycle(2, 0, running))])).toEqual(['started 2']);
  });

  it('tell of a start that was over before one could look', () => {
    expect(told(domainsWith(off).take(lifecycle(2, 0, off)))).toEqual(['started 2']);
  });

  it('tell of a new domain that runs at once', () => {
    const [event, list] = [domainsWith(), domainsWith()];
    expect(told([...event.take(lifecycle(2, 0, running)), ...event.see(running)])).toEqual([
      'defined 1',
      'started 1',
    ]);
    expect(told([...list.see(running), ...list.take(lifecycle(2, 0, running))])).toEqual([
      'defined 1',
      'started 1',
    ]);
  });

  it('tell a crash from a stop', () => {
    expect(told(domainsWith(running).see({ ...off, crashed: true }))).toEqual(['crashed 1']);
    expect(told(domainsWith(running).take(lifecycle(5, 1, off)))).toEqual(['stopped 1']);
  });

  it('tell of a reboot, which nothing shows', () => {
    expect(told(domainsWith(running).take({ uuid, event: 'rebooted', facts: running }))).toEqual([
      'rebooted 2',
    ]);
  });

  it('tell of one return to a snapshot once', () => {
    const domains = domainsWith(running);
    const after = { ...running, runId: 2 };
    expect(told(domains.take(lifecycle(2, 3, after)))).toEqual(['reverted 3']);
    expect(told(domains.take(lifecycle(4, 2, after)))).toEqual([]);
  });

  it('tell of two returns twice, even in the same run', () => {
    const domains = domainsWith(running);
    expect(told(domains.take(lifecycle(4, 2, running)))).toEqual(['reverted 2']);
    expect(told(domains.take(lifecycle(4, 2, running)))).toEqual(['reverted 3']);
  });

  it('tell of a return to a snapshot that was off', () => {
    const domains = domainsWith(running);
    expect(told(domains.take(lifecycle(5, 6, off)))).toEqual(['reverted 2']);
    expect(domains.get(uuid)).toMatchObject({ state: 'off', generation: 2 });
  });
});

describe('after a time in which nothing was told', () => {
  it('a guest that ran on is the same', () => {
    expect(domainsWith(running).replaceAll([running])).toEqual([]);
  });

  it('a guest with the same count of starts but another socket was started anew', () => {
    expect(told(domainsWith(running).replaceAll([{ ...running, socketMade: '9@9' }]))).toEqual(['started 2']);
  });

  it('what stopped, went and came is told', () => {
    const other = { ...off, uuid: uuid.replace('4', '5'), name: 'new' };
    expect(told(domainsWith(running).replaceAll([off, other]))).toEqual(['stopped 1', 'defined 1']);
    expect(told(domainsWith(running).replaceAll([other]))).toEqual(['stopped 1', 'undefined 1', 'defined 1']);
  });

  it('a list of those that run says whether one is missing', () => {
    const domains = domainsWith(running);
    expect(domains.hasAllRunning([running])).toBe(true);
    expect(domains.hasAllRunning([])).toBe(false);
    expect(domainsWith(off).hasAllRunning([])).toBe(true);
  });
});
