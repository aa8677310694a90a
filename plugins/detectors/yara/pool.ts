import type { RunnerSource } from './engine.ts';
import type { Job, JobOutcome } from './jobs.ts';
import { Lane } from './lane.ts';
import type { Request } from './scanner.ts';

interface Preparation {
  readonly request: Request;
  readonly deadlineMs: number;
}

interface Member {
  readonly lane: Lane;
  ready: boolean;
  weight: number;
  requests: number;
}

/** So much is handed out ahead, so that small files never wait for this thread and no lane hoards large ones. */
const AHEAD = { jobs: 64, weight: 4 * 1024 * 1024 };
const FAILED_STARTS = 3;

/**
 * Hands jobs to lanes. A lane that ends is replaced, and what it had not begun goes to another. The one job
 * that it was working on is lost with it, so a job that kills its lane does so once.
 */
export class Pool {
  private readonly source: RunnerSource;
  private readonly members = new Set<Member>();
  private queue: Job[] = [];
  private preparation: Preparation | undefined;
  private failedStarts = 0;
  private broken: string | undefined;
  private closed: PromiseWithResolvers<void> | undefined;

  constructor(source: RunnerSource, lanes: number) {
    this.source = source;
    for (let lane = 0; lane < lanes; lane++) this.add();
  }

  /** Every lane, also one that comes later, is asked this before any further job. */
  prepare(preparation: Preparation): void {
    this.preparation = preparation;
    for (const member of this.members) this.makeReady(member);
  }

  submit(jobs: readonly Job[]): void {
    this.queue.push(...jobs);
    this.pump();
  }

  /** Takes jobs back that no lane has begun to work on; of others the outcome still comes. */
  withdraw(jobs: ReadonlySet<Job>): void {
    this.queue = this.queue.filter((job) => !jobs.has(job));
  }

  /** Ends all lanes; resolves when they are gone. */
  close(): Promise<void> {
    if (this.closed === undefined) {
      this.closed = Promise.withResolvers();
      for (const { lane } of this.members) lane.close();
      this.pump();
      this.settleClose();
    }
    return this.closed.promise;
  }

  private add(): void {
    const lane: Lane = new Lane(this.source, (detail) => this.ended(member, detail));
    const member: Member = { lane, ready: false, weight: 0, requests: 0 };
    this.members.add(member);
    this.makeReady(member);
  }

  private makeReady(member: Member): void {
    member.ready = this.preparation === undefined;
    if (this.preparation === undefined) return;
    const { request, deadlineMs } = this.preparation;
    member.lane.call(request, deadlineMs, (outcome) => {
      if (outcome.kind !== 'reply') return;
      member.ready = true;
      this.failedStarts = 0;
      this.pump();
    });
  }

  private ended(member: Member, detail: string): void {
    this.members.delete(member);
    this.failedStarts = member.ready && member.lane.replies > 0 ? 0 : this.failedStarts + 1;
    if (this.failedStarts >= FAILED_STARTS) this.broken ??= detail;
    if (this.closed === undefined && this.broken === undefined) this.add();
    this.pump();
    this.settleClose();
  }

  private settleClose(): void {
    if (this.members.size === 0) this.closed?.resolve();
  }

  private pump(): void {
    for (const member of this.members) {
      while (this.queue.length > 0 && this.hasRoom(member)) this.hand(this.queue.shift() as Job, member);
    }
    if (this.closed !== undefined) this.refuse({ kind: 'closed' });
    else if (this.broken !== undefined && this.members.size === 0)
      this.refuse({ kind: 'broken', detail: this.broken });
  }

  private refuse(outcome: JobOutcome): void {
    for (const job of this.queue.splice(0)) job.settle(outcome);
  }

  private hasRoom({ ready, lane, weight, requests }: Member): boolean {
    return (
      this.closed === undefined &&
      ready &&
      lane.open < AHEAD.jobs &&
      weight < AHEAD.weight &&
      requests < this.source.requestsPerRunner
    );
  }

  private hand(job: Job, member: Member): void {
    member.weight += job.weight;
    member.requests++;
    member.lane.call(job.request, job.deadlineMs, (outcome) => {
      member.weight -= job.weight;
      if (outcome.kind === 'abandoned') {
        this.queue.unshift(job);
        return;
      }
      if (member.lane.open === 0 && member.requests >= this.source.requestsPerRunner) member.lane.close();
      job.settle(outcome);
      // A lane is filled up again when half of what it holds is done: many small files to one write.
      if (member.lane.open <= AHEAD.jobs / 2) this.pump();
    });
  }
}
