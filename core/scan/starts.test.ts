import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Start } from '../api/index.ts';
import { type Implicated, Starts } from './starts.ts';

const start = (path: string, more: Partial<Start> = {}): Start => ({ path, technique: 'T1543.002', ...more });
const said = (found: readonly Implicated[]): string[] =>
  found.map(({ path, detection }) => `${detection.judgement} ${path}: ${detection.name}`);

describe('what starts something', () => {
  it('is malicious with it, and says the line and the technique', () => {
    const starts = new Starts();
    const technique = 'T1053.003';
    expect(starts.starting('/etc/cron.d/x', [start('/tmp/x', { line: 3, technique })])).toEqual([]);
    expect(starts.malicious('/tmp/x', 'Evil')).toEqual([
      {
        path: '/etc/cron.d/x',
        detection: {
          judgement: 'malicious',
          name: 'starts Evil',
          description: 'Line 3 starts /tmp/x, which is malicious: Evil',
          attack: ['T1053.003'],
        },
      },
    ]);
    expect(starts.cut).toBe(0);
  });

  it('is malicious when it is seen after what it starts', () => {
    const starts = new Starts();
    expect(starts.malicious('/tmp/x', 'Evil')).toEqual([]);
    expect(said(starts.starting('/etc/x.service', [start('/tmp/x')]))).toEqual([
      'malicious /etc/x.service: starts Evil',
    ]);
  });

  it('is left alone when that is not malicious', () => {
    const starts = new Starts();
    starts.malicious('/tmp/y', 'Evil');
    expect(starts.starting('/etc/x.service', [start('/tmp/x')])).toEqual([]);
    expect(starts.malicious('/tmp/z', 'Evil')).toEqual([]);
  });

  it('is suspicious alone when it serves other ends, and passes nothing on', () => {
    const starts = new Starts();
    starts.starting('/etc/crontab', [start('/tmp/x', { shared: true, line: 9 })]);
    starts.starting('/etc/x.service', [start('/etc/crontab')]);
    const [found, ...others] = starts.malicious('/tmp/x', 'Evil');
    expect(others).toEqual([]);
    expect(found).toMatchObject({ path: '/etc/crontab', detection: { judgement: 'suspicious' } });
    expect(found?.detection.description).toMatch(/^Line 9 starts \/tmp\/x, .*: Evil; .*a person/);
  });

  it('is said to be so once, and again only when that is worse', () => {
    const starts = new Starts();
    starts.malicious('/tmp/x', 'Evil');
    starts.malicious('/tmp/y', 'Other');
    const shared = start('/tmp/x', { shared: true });
    expect(said(starts.starting('/a', [shared, shared, start('/tmp/y'), start('/tmp/x')]))).toEqual([
      'suspicious /a: starts Evil',
      'malicious /a: starts Other',
    ]);
    expect(starts.starting('/a', [start('/tmp/x'), shared])).toEqual([]);
  });

  it('is not implicated by itself', () => {
    const starts = new Starts();
    starts.starting('/etc/init.d/x', [start('/etc/init.d/x')]);
    expect(starts.malicious('/etc/init.d/x', 'Evil')).toEqual([]);
  });

  it.each([
    ['/usr/bin/x', '/bin/x'],
    ['/sbin/x', '/usr/sbin/x'],
    ['/lib64/x.so', '/usr/lib64/x.so'],
    ['/tmp//y/../x', '/tmp/x'],
    ['//tmp/./x', '/tmp/x'],
    ['evil_mod', '/usr/lib/modules/6.1.0/extra/evil-mod.ko.xz'],
    ['evil_mod', '/lib/modules/6.1.0/evil_mod.ko'],
  ])('is found by %s when %s is malicious', (path, found) => {
    const starts = new Starts();
    starts.starting('/etc/x', [start(path)]);
    expect(starts.malicious(found, 'Evil')).toHaveLength(1);
    expect(starts.starting('/etc/y', [start(path)])).toHaveLength(1);
  });

  it.each([
    ['/usr/local/bin/x', '/usr/bin/x'],
    ['/bin/x', '/sbin/x'],
    ['evil', '/tmp/evil.ko'],
    ['evil', '/evil'],
    ['', '/'],
  ])('is not found by %j when %s is malicious', (path, found) => {
    const starts = new Starts();
    starts.starting('/etc/x', [start(path)]);
    expect(starts.malicious(found, 'Evil')).toEqual([]);
  });

  it('is found through any number of steps, and rings end', () => {
    const starts = new Starts(2 ** 24);
    const length = 20_000;
    for (let at = 0; at < length; at++) starts.starting(`/u/${at}`, [start(`/u/${at + 1}`)]);
    starts.starting(`/u/${length}`, [start('/tmp/x'), start('/u/0')]);
    const found = starts.malicious('/tmp/x', 'Evil');
    expect(found).toHaveLength(length + 1);
    expect(new Set(found.map(({ detection }) => detection.name))).toEqual(new Set(['starts Evil']));
  });
});

describe('memory', () => {
  it('is bounded, and what is not kept is counted', () => {
    const starts = new Starts(1_400);
    for (let at = 0; at < 10; at++) starts.starting(`/etc/${at}`, [start(`/tmp/${at}`)]);
    expect(starts.cut).toBe(6);
    expect(said(starts.malicious('/tmp/0', 'Evil'))).toEqual(['malicious /etc/0: starts Evil']);
    expect(starts.malicious('/tmp/9', 'Evil')).toEqual([]);
  });

  it('is bounded where what is started was found before', () => {
    const starts = new Starts(1_400);
    starts.malicious('/tmp/x', 'Evil');
    const found = Array.from({ length: 10 }, (_, at) =>
      starts.starting(`/etc/${at}`, [start('/tmp/x')]),
    ).flat();
    // Each of them is malicious itself from then on, which takes room as well.
    expect(found).toHaveLength(2);
    const { cut } = starts;
    expect(cut).toBeGreaterThanOrEqual(8);
    // What was said has its room.
    expect(starts.starting('/etc/0', [start('/tmp/x')])).toEqual([]);
    expect(starts.cut).toBe(cut);
  });

  it('keeps names within their bounds', () => {
    const starts = new Starts();
    starts.malicious('/tmp/x', 'n'.repeat(200));
    expect(starts.starting('/a', [start('/tmp/x')])[0]?.detection.name).toHaveLength(200);
  });
});

/** Who is implicated does not depend on the order in which a scan meets the files. */
it('comes to the same in any order', () => {
  const node = fc.integer({ min: 0, max: 7 }).map((at) => `/n/${at}`);
  const edge = fc.record({ by: node, path: node, shared: fc.boolean() });
  const events = fc.array(edge, { maxLength: 12 });
  fc.assert(
    fc.property(events, node, fc.infiniteStream(fc.nat()), (edges, bad, picks) => {
      const outcome = (order: readonly (() => readonly Implicated[])[]) => {
        const worst = new Map<string, string>();
        for (const step of order)
          for (const { path, detection } of step())
            if (worst.get(path) !== 'malicious') worst.set(path, detection.judgement);
        return [...worst].sort();
      };
      const stepsOf = (starts: Starts) => [
        ...edges.map(
          ({ by, path, shared }) =>
            () =>
              starts.starting(by, [start(path, { shared })]),
        ),
        () => starts.malicious(bad, 'Evil'),
      ];
      const straight = outcome(stepsOf(new Starts()));
      const order = stepsOf(new Starts())
        .map((step) => ({ step, at: picks.next().value as number }))
        .sort((one, other) => one.at - other.at);
      expect(outcome(order.map(({ step }) => step))).toEqual(straight);
    }),
  );
});
