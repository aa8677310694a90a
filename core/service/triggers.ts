/** What has scans begin that nobody asked for: a guest met for the first time or anew, the clock, a new pack. */

import { displayText, GuestPath } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import type { LiveSettings, Schedule } from '../config/index.ts';
import { settingsFor } from '../config/index.ts';
import type { Records } from '../services.ts';
import type { ScanTrigger } from '../store/records.ts';
import type { Guests } from './guests.ts';
import { Retries } from './retries.ts';
import type { ScanJob } from './scan-job.ts';
import type { ScanJobs } from './scan-jobs.ts';
import { afterBlackout } from './schedule.ts';
import { Timetable } from './timetable.ts';
import type { VmName } from './views.ts';

/** A guest whose agent comes and goes is not scanned each time. */
const LEAST_BETWEEN_CONNECTS_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const WHOLE_GUEST = [GuestPath.of('/')];

export interface TriggersParts {
  readonly settings: LiveSettings;
  readonly guests: () => Pick<Guests, 'list'>;
  readonly jobs: Pick<ScanJobs, 'begin'>;
  readonly records: Pick<Records, 'scans'>;
  readonly clock: () => number;
  readonly logger: Pick<Logger, 'warn'>;
  /** From 0 to 1. */
  readonly random?: () => number;
  /** Calls once, after so many milliseconds, unless what it returns was called before. */
  readonly setTimer?: (run: () => void, milliseconds: number) => () => void;
}

export type EndedScan = Pick<ScanJob, 'order' | 'state' | 'failure'>;

export class Triggers implements Disposable {
  private readonly parts: TriggersParts;
  private readonly timetable: Timetable;
  /** Came due while the guest was away, or when policy has none begin: by guest, why. */
  private readonly owed = new Map<string, ScanTrigger>();
  /** By guest: what cancels the timer at which the owed scan is looked at again. */
  private readonly waits = new Map<string, () => void>();
  /** When the last scan of a guest was begun here, whatever became of it. */
  private readonly begun = new Map<string, number>();
  private readonly retries: Retries;
  private isStopped = false;

  constructor(parts: TriggersParts) {
    this.parts = parts;
    this.retries = new Retries(parts.random);
    const { clock, setTimer } = parts;
    const onDue = (vm: string): void => this.due(vm, 'schedule');
    this.timetable = new Timetable({ clock, onDue, ...(setTimer && { setTimer }) });
  }

  /** A guest is looked after from now on, or its settings are others. */
  enter(vm: VmName): void {
    if (this.isStopped) return;
    const last = this.parts.records.scans.lastOf(vm.id);
    this.timetable.set(vm.id, this.scheduleOf(vm), last && new Date(last.startedAt));
    // What other settings postponed may begin now.
    if (this.waits.has(vm.id)) this.settle(vm.id);
  }

  leave(vm: string): void {
    this.timetable.delete(vm);
    this.owed.delete(vm);
    this.begun.delete(vm);
    this.retries.reset(vm);
    this.stopWaiting(vm);
  }

  nextScan(vm: string): Date | undefined {
    return this.timetable.next(vm);
  }

  connected(vm: VmName): void {
    if (this.isStopped) return;
    const { onFirstSight, onConnect } = this.scheduleOf(vm);
    const last = this.parts.records.scans.lastOf(vm.id);
    const owed = this.owed.get(vm.id);
    if (owed && this.waits.has(vm.id)) return;
    if (owed) this.begin(vm, owed);
    else if (last === undefined) {
      if (onFirstSight) this.beginNotAgain(vm, 'first-sight');
    } else if (onConnect) this.beginNotAgain(vm, 'connect', last.startedAt);
  }

  /** A scan has ended. One that began here and failed is tried again a few times, later and later, while its guest is there. */
  ended({ order: { vm, trigger }, state, failure }: EndedScan): void {
    if (this.isStopped) return;
    if (state === 'finished') this.retries.reset(vm.id);
    if (state !== 'failed' || trigger === 'manual' || !this.isLookedAfter(vm.id)) return;
    const after = this.retries.failed(vm.id, failure);
    if (after !== undefined) {
      // What came due meanwhile is that scan.
      if (!this.waits.has(vm.id)) this.postpone(vm, this.owed.get(vm.id) ?? trigger, after);
      return;
    }
    this.parts.logger.warn(
      `the scan of ${displayText(vm.name)} is not tried again until it is due, asked for (lazaret scan), or the guest connects anew`,
      { vm: vm.id, trigger, ...(failure !== undefined && { code: failure }) },
    );
  }

  /** What was removed is back: a guest that was scanned is scanned again as soon as it answers. */
  reverted(vm: string): void {
    if (this.parts.records.scans.lastOf(vm)) this.due(vm, 'reverted');
  }

  packChanged(): void {
    for (const { domain } of this.parts.guests().list()) {
      if (this.scheduleOf(domain).onNewPack && this.parts.records.scans.lastOf(domain.id)) {
        this.due(domain.id, 'pack');
      }
    }
  }

  [Symbol.dispose](): void {
    this.isStopped = true;
    this.timetable.stop();
    for (const id of [...this.waits.keys()]) this.stopWaiting(id);
  }

  /** Now, or as soon as the guest is there; after it was reverted, when it is there anew. */
  private due(id: string, trigger: ScanTrigger): void {
    if (this.isStopped) return;
    this.retries.reset(id);
    this.owed.set(id, trigger);
    if (trigger !== 'reverted') this.settle(id);
  }

  /** Begins what is owed, if the guest is there. */
  private settle(id: string): void {
    const watches = this.parts.guests().list();
    const watch = watches.find(({ domain }) => domain.id === id);
    const owed = this.owed.get(id);
    if (owed !== undefined && watch?.connection.state === 'connected') this.begin(watch.domain, owed);
  }

  /** Not soon after the scan before: whose scans fail again and again, by its coming and going, takes nobody's turn. */
  private beginNotAgain(vm: VmName, trigger: ScanTrigger, last = Number.NEGATIVE_INFINITY): void {
    const since = this.parts.clock() - Math.max(last, this.begun.get(vm.id) ?? last);
    if (since < 0 || since > LEAST_BETWEEN_CONNECTS_MS) this.begin(vm, trigger);
    else this.postpone(vm, trigger, LEAST_BETWEEN_CONNECTS_MS - since);
  }

  /** Unless policy has none begin now: then thereafter. */
  private begin(vm: VmName, trigger: ScanTrigger): void {
    const { clock, jobs, settings } = this.parts;
    const now = new Date(clock());
    const allowed = afterBlackout(vm.id, this.scheduleOf(vm), now);
    if (allowed === undefined || allowed > now) {
      const milliseconds = allowed ? allowed.getTime() - now.getTime() : LONGEST_TIMER_MS;
      this.postpone(vm, trigger, milliseconds);
      return;
    }
    this.owed.delete(vm.id);
    this.stopWaiting(vm.id);
    this.begun.set(vm.id, now.getTime());
    const { mode } = settingsFor(settings.current, vm).policy;
    jobs.begin({
      vm: { id: vm.id, name: vm.name },
      trigger,
      mode,
      dryRun: false,
      fresh: false,
      roots: WHOLE_GUEST,
    });
  }

  private postpone({ id }: VmName, trigger: ScanTrigger, milliseconds: number): void {
    const { setTimer = onTimeout } = this.parts;
    this.owed.set(id, trigger);
    this.stopWaiting(id);
    const look = (): void => {
      this.waits.delete(id);
      this.settle(id);
    };
    this.waits.set(id, setTimer(look, Math.min(milliseconds, LONGEST_TIMER_MS)));
  }

  private isLookedAfter(id: string): boolean {
    return this.parts
      .guests()
      .list()
      .some(({ domain }) => domain.id === id);
  }

  private stopWaiting(id: string): void {
    this.waits.get(id)?.();
    this.waits.delete(id);
  }

  private scheduleOf(vm: VmName): Schedule {
    return settingsFor(this.parts.settings.current, vm).schedule;
  }
}

function onTimeout(run: () => void, milliseconds: number): () => void {
  const timer = setTimeout(run, milliseconds).unref();
  return () => clearTimeout(timer);
}
