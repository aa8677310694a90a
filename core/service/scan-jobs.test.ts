import { beforeEach, describe, expect, it } from 'vitest';
import { GuestPath } from '../../protocol/index.ts';
import { progress, report } from '../../test/records.ts';
import { ChannelError } from '../channel/error.ts';
import type { ScanHooks, ScanReport, ScanRequest } from '../scan/report.ts';
import { OperationError } from './error.ts';
import type { JobOrder, ScanJob } from './scan-job.ts';
import { ScanJobs } from './scan-jobs.ts';
import { memoryLogger } from './testing/requests.ts';
import { settled } from './testing/time.ts';
import type { ScanEvent } from './views.ts';

interface Running extends PromiseWithResolvers<ScanReport> {
  readonly request: ScanRequest;
  readonly hooks: ScanHooks;
}

const order = (name: string, rest: Partial<JobOrder> = {}): JobOrder => ({
  ...{ vm: { id: name, name }, trigger: 'manual', mode: 'detect', dryRun: false, fresh: false },
  ...{ roots: [GuestPath.of('/')], ...rest },
});

let running: Running[];
let ended: string[];
let log: ReturnType<typeof memoryLogger>;
let jobs: ScanJobs;
beforeEach(() => {
  running = [];
  ended = [];
  log = memoryLogger();
  jobs = new ScanJobs({
    scanner: {
      scan: (request, hooks) => {
        const scan = { request, hooks, ...Promise.withResolvers<ScanReport>() };
        running.push(scan);
        hooks.onProgress?.(progress());
        hooks.signal.addEventListener('abort', () =>
          scan.reject(new ChannelError('cancelled', 'the work was cancelled')),
        );
        return scan.promise;
      },
    },
    domainOf: (vm) => {
      if (vm === 'away') throw new OperationError('not-connected', 'it is away');
      return { id: vm, name: vm, socket: `/run/${vm}.sock` };
    },
    ...{ clock: () => 1_000, logger: log.logger },
    onEnded: async (job) => void ended.push(`${job.order.vm.name} ${job.state}`),
  });
});

const followed = async (job: ScanJob): Promise<ScanEvent[]> => {
  const events: ScanEvent[] = [];
  for await (const event of job.follow(new AbortController().signal)) events.push(event);
  return events;
};

describe('a scan', () => {
  it('goes from the queue to its end, and is told to who follows', async () => {
    const job = jobs.begin(order('web'));
    expect(job.view()).toMatchObject({ state: 'queued', queuedAt: 1_000 });
    const events = followed(job);
    await settled();
    expect(job.view()).toMatchObject({ state: 'running', startedAt: 1_000, progress: progress() });
    const event = {
      class_uid: 2004,
      activity_id: 1,
      time: 0,
      metadata: { uid: 'e', correlation_uid: job.id },
    };
    await jobs.emit(event);
    await jobs.emit({ ...event, metadata: { uid: 'other', correlation_uid: 'nobody’s' } });
    running[0]?.resolve(report());
    await job.ended;
    expect(job.view()).toMatchObject({ state: 'finished', summary: report().scan.summary });
    expect(job.view()).not.toHaveProperty('progress');
    const told = await events;
    expect(told.map(({ type }) => type)).toEqual(['progress', 'ocsf', 'ended']);
    expect(told.at(-1)).toMatchObject({ scan: { state: 'finished' }, report: report() });
    expect(await followed(job)).toEqual([told[1], told[2]]);
    expect(ended).toEqual(['web finished']);
  });

  it('that fails says why, and the next of that guest begins', async () => {
    const [first, second] = [jobs.begin(order('web')), jobs.begin(order('web'))];
    await settled();
    running[0]?.reject(new ChannelError('silent', 'nothing was heard'));
    await first.ended;
    expect(first.view()).toMatchObject({ state: 'failed', error: { code: 'silent' } });
    await settled();
    expect(second.state).toBe('running');
    expect(log.lines).toMatchObject([{ level: 'warn', facts: { scan: first.id, code: 'silent' } }]);
  });

  it('of a guest that is not there fails', async () => {
    const job = jobs.begin(order('away'));
    await job.ended;
    expect(job.view()).toMatchObject({ state: 'failed', error: { code: 'not-connected' } });
    expect(running).toEqual([]);
  });

  it('names its guest in the log in a harmless way', async () => {
    await jobs.begin(order('away', { vm: { id: 'away', name: 'we\x1bb' } })).ended;
    await settled();
    expect(log.lines[0]?.message).toContain('we\\x1bb');
  });
});

describe('scans of one guest', () => {
  it('come one after the other, those of others meanwhile', async () => {
    const [first, second] = [jobs.begin(order('web')), jobs.begin(order('web'))];
    jobs.begin(order('db'));
    await settled();
    expect(running.map(({ request }) => request.domain.name)).toEqual(['web', 'db']);
    expect(jobs.ofVm('web')).toEqual([second, first]);
    running[0]?.resolve(report());
    await settled();
    expect(second.state).toBe('running');
    expect(running).toHaveLength(3);
  });

  it('that come due while one waits are that one; asked for by hand, they are their own', async () => {
    const first = jobs.begin(order('web', { trigger: 'schedule' }));
    await settled();
    const waiting = jobs.begin(order('web', { trigger: 'pack' }));
    expect(waiting).not.toBe(first);
    expect(jobs.begin(order('web', { trigger: 'connect' }))).toBe(waiting);
    expect(jobs.begin(order('db', { trigger: 'connect' }))).not.toBe(waiting);
    const byHand = jobs.begin(order('web'));
    expect(byHand).not.toBe(waiting);
    expect(jobs.begin(order('web', { trigger: 'schedule' }))).toBe(waiting);
  });
});

describe('a scan that is cancelled', () => {
  it('ends at once while it waits, and does not let the next begin early', async () => {
    const [first, second, third] = [0, 1, 2].map(() => jobs.begin(order('web'))) as [
      ScanJob,
      ScanJob,
      ScanJob,
    ];
    await settled();
    second.cancel(new OperationError('cancelled', 'somebody cancelled it'));
    await second.ended;
    expect(second.view()).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } });
    await settled();
    expect([first.state, third.state]).toEqual(['running', 'queued']);
    running[0]?.resolve(report());
    await settled();
    expect(third.state).toBe('running');
    expect(running).toHaveLength(2);
  });

  it('ends when it has been told to its guest', async () => {
    const job = jobs.begin(order('web'));
    await settled();
    job.cancel(new OperationError('cancelled', 'somebody cancelled it'));
    await job.ended;
    expect(job.view()).toMatchObject({ state: 'cancelled', error: { message: 'somebody cancelled it' } });
  });
});

describe('when the service stops', () => {
  it('all end, and no more are taken', async () => {
    const all = [jobs.begin(order('web')), jobs.begin(order('web')), jobs.begin(order('db'))];
    await settled();
    await jobs.close();
    expect(all.map(({ state }) => state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(ended).toHaveLength(3);
    expect(() => jobs.begin(order('web'))).toThrow(expect.objectContaining({ code: 'shutting-down' }));
  });

  it('what follows from a scan is done first', async () => {
    const followUp = Promise.withResolvers<void>();
    jobs = new ScanJobs({
      scanner: { scan: async () => report() },
      domainOf: (vm) => ({ id: vm, name: vm, socket: '/s' }),
      ...{ clock: () => 0, logger: log.logger, onEnded: () => followUp.promise },
    });
    await jobs.begin(order('web')).ended;
    let isClosed = false;
    const closed = jobs.close().then(() => {
      isClosed = true;
    });
    await settled();
    expect(isClosed).toBe(false);
    followUp.resolve();
    await closed;
  });
});

describe('what is remembered', () => {
  it('are a thousand that ended, the reports of a few, and all that did not end', async () => {
    const waiting = jobs.begin(order('web'));
    await settled();
    const short = new ScanJobs({
      scanner: { scan: async () => report() },
      domainOf: (vm) => ({ id: vm, name: vm, socket: '/s' }),
      ...{ clock: () => 0, logger: log.logger },
    });
    const first = short.begin(order('vm-0'));
    for (let index = 1; index <= 1_000; index++) await short.begin(order(`vm-${index}`)).ended;
    await settled();
    expect(short.list()).toHaveLength(1_000);
    expect(short.find(first.id)).toBeUndefined();
    const ends = await Promise.all(short.list().map(followed));
    expect(ends.filter(([end]) => end?.type === 'ended' && end.report)).toHaveLength(16);
    expect(ends.every(([end]) => end?.type === 'ended' && end.scan.state === 'finished')).toBe(true);
    expect(jobs.list()).toEqual([waiting]);
  });
});

describe('a scan that fails each time it is tried again', () => {
  const fails = async (error: Error, trigger: JobOrder['trigger'] = 'schedule') => {
    const job = jobs.begin(order('web', { trigger }));
    await settled();
    running.at(-1)?.reject(error);
    await job.ended;
    await settled();
  };
  const said = () => log.lines.filter(({ level }) => level === 'warn').map(({ facts }) => facts.code);

  it('is said once for each reason, and each time when somebody asked for it', async () => {
    for (let tries = 0; tries < 3; tries++) await fails(new ChannelError('silent', 'no word'));
    await fails(new ChannelError('session-lost', 'it is gone'));
    expect(said()).toEqual(['silent', 'session-lost']);
    await fails(new ChannelError('session-lost', 'it is gone'), 'manual');
    expect(said()).toEqual(['silent', 'session-lost', 'session-lost']);
  });

  it('is said anew after one that succeeded', async () => {
    await fails(new ChannelError('silent', 'no word'));
    const job = jobs.begin(order('web'));
    await settled();
    running.at(-1)?.resolve({ ...report(), problems: [] });
    await job.ended;
    await settled();
    await fails(new ChannelError('silent', 'no word'));
    expect(said()).toEqual(['silent', 'silent']);
  });
});

it('says what a scan had to do without, once while that lasts', async () => {
  for (let scans = 0; scans < 2; scans++) {
    const job = jobs.begin(order('web', { trigger: 'schedule' }));
    await settled();
    running.at(-1)?.resolve(report());
    await job.ended;
    await settled();
  }
  expect(log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
    'the scan of web has a problem: bad.yar:12: syntax error (yara)',
  ]);
});
