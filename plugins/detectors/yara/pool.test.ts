import { describe, expect, it } from 'vitest';
import type { Runner, RunnerEvents, RunnerSource } from './engine.ts';
import type { Job, JobOutcome } from './jobs.ts';
import { Pool } from './pool.ts';

/** Answers nothing by itself: a test says what each runner does. */
class ScriptedEngine implements RunnerSource {
  readonly requestsPerRunner: number;
  readonly runners: ScriptedRunner[] = [];

  constructor(requestsPerRunner = Number.POSITIVE_INFINITY) {
    this.requestsPerRunner = requestsPerRunner;
  }

  start(events: RunnerEvents): Runner {
    const runner = new ScriptedRunner(events);
    this.runners.push(runner);
    return runner;
  }

  at(place: number): ScriptedRunner {
    const runner = this.runners[place];
    if (runner === undefined) throw new Error(`there are ${this.runners.length} runners`);
    return runner;
  }
}

class ScriptedRunner implements Runner {
  readonly posted: unknown[] = [];
  private readonly events: RunnerEvents;

  constructor(events: RunnerEvents) {
    this.events = events;
  }

  post(request: unknown): void {
    this.posted.push(request);
  }

  kill(): void {
    this.events.ended('killed');
  }

  answer(): void {
    this.events.reply({ told: 'scanned', matches: [] });
  }

  crash(): void {
    this.events.ended('crashed');
  }
}

interface TriedJob extends Job {
  readonly outcome: Promise<JobOutcome>;
}

function job(path: string, { weight = 1, deadlineMs = 60_000 } = {}): TriedJob {
  const { promise, resolve } = Promise.withResolvers<JobOutcome>();
  return { request: { ask: 'scan', path }, weight, deadlineMs, settle: resolve, outcome: promise };
}
const scan = (path: string): unknown => ({ ask: 'scan', path });
const kindOf = async ({ outcome }: TriedJob): Promise<string> => (await outcome).kind;

describe('a pool', () => {
  it('blames the job whose turn it was for a crash, and hands the others to a fresh lane', async () => {
    const engine = new ScriptedEngine();
    const pool = new Pool(engine, 1);
    const jobs = ['a', 'b', 'c'].map((path) => job(path));
    pool.submit(jobs);
    engine.at(0).answer();
    engine.at(0).crash();
    expect(engine.at(1).posted).toEqual([scan('c')]);
    engine.at(1).answer();
    expect(await Promise.all(jobs.map(kindOf))).toEqual(['reply', 'died', 'reply']);
  });

  it('kills at the deadline of the job whose turn it is', async () => {
    const engine = new ScriptedEngine();
    const pool = new Pool(engine, 1);
    const [slow, next] = [job('slow', { deadlineMs: 20 }), job('next')];
    pool.submit([slow, next]);
    expect(await kindOf(slow)).toBe('deadline');
    expect(engine.at(1).posted).toEqual([scan('next')]);
    await pool.close();
    expect(await kindOf(next)).toBe('closed');
  });

  it('gives a short job its own deadline after a long one', async () => {
    const engine = new ScriptedEngine();
    const pool = new Pool(engine, 1);
    const [long, short] = [job('long'), job('short', { deadlineMs: 20 })];
    pool.submit([long, short]);
    engine.at(0).answer();
    expect(await kindOf(short)).toBe('deadline');
    await pool.close();
  });

  it('prepares every lane before its first job, also one that comes later', () => {
    const engine = new ScriptedEngine();
    const pool = new Pool(engine, 1);
    const load = { ask: 'load', files: [], maxMatches: 1 } as const;
    pool.prepare({ request: load, deadlineMs: 60_000 });
    pool.submit([job('a'), job('b')]);
    expect(engine.at(0).posted).toEqual([load]);
    engine.at(0).answer();
    expect(engine.at(0).posted).toEqual([load, scan('a'), scan('b')]);
    engine.at(0).crash();
    expect(engine.at(1).posted).toEqual([load]);
    engine.at(1).answer();
    expect(engine.at(1).posted).toEqual([load, scan('b')]);
    return pool.close();
  });

  it('hands large files out one at a time', () => {
    const engine = new ScriptedEngine();
    const pool = new Pool(engine, 2);
    pool.submit(['a', 'b', 'c'].map((path) => job(path, { weight: 1e9 })));
    expect(engine.runners.map(({ posted }) => posted)).toEqual([[scan('a')], [scan('b')]]);
    engine.at(1).answer();
    expect(engine.at(1).posted).toEqual([scan('b'), scan('c')]);
    return pool.close();
  });

  it('replaces a lane after the requests it is good for', async () => {
    const engine = new ScriptedEngine(2);
    const pool = new Pool(engine, 1);
    const jobs = ['a', 'b', 'c'].map((path) => job(path));
    pool.submit(jobs);
    engine.at(0).answer();
    engine.at(0).answer();
    expect(engine.at(0).posted).toEqual([scan('a'), scan('b')]);
    engine.at(1).answer();
    expect(await Promise.all(jobs.map(kindOf))).toEqual(['reply', 'reply', 'reply']);
    await pool.close();
  });

  it('gives up when the engine does not start, and says so to every job', async () => {
    const engine = new ScriptedEngine();
    const pool = new Pool(engine, 1);
    pool.prepare({ request: { ask: 'load', files: [], maxMatches: 1 }, deadlineMs: 60_000 });
    const waiting = job('a');
    pool.submit([waiting]);
    for (const start of [0, 1, 2]) engine.at(start).crash();
    expect(engine.runners).toHaveLength(3);
    expect(await waiting.outcome).toEqual({ kind: 'broken', detail: 'crashed' });
    const late = job('b');
    pool.submit([late]);
    expect(await kindOf(late)).toBe('broken');
  });

  it('does not begin what was withdrawn', () => {
    const engine = new ScriptedEngine();
    const pool = new Pool(engine, 1);
    const [running, waiting] = [job('a', { weight: 1e9 }), job('b')];
    pool.submit([running, waiting]);
    pool.withdraw(new Set([waiting]));
    engine.at(0).answer();
    expect(engine.at(0).posted).toEqual([scan('a')]);
    return pool.close();
  });
});
