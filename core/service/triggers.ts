/** What has scans begin that nobody asked for: a guest met for the first time or anew, the clock, a new pack. */

import { GuestPath } from '../../protocol/index.ts';
import type { LiveSettings, Schedule } from '../config/index.ts';
import { settingsFor } from '../config/index.ts';
import type { Records } from '../services.ts';
import type { ScanTrigger } from '../store/records.ts';
import type { Guests } from './guests.ts';
import type { ScanJobs } from './scan-jobs.ts';
import { afterBlackout } from './schedule.ts';
import { Timetable } from './timetable.ts';
import type { VmName } from './views.ts';

/** A guest whose agent comes and goes is not scanned each time. */
const LEAST_BETWEEN_CONNECTS_MS = 60_000;
const WHOLE_GUEST = [GuestPath.of('/')];

export interface TriggersParts {
  readonly settings: LiveSettings;
  readonly guests: () => Pick<Guests, 'list'>;
  readonly jobs: Pick<ScanJobs, 'begin' | 'ofVm'>;
  readonly records: Pick<Records, 'scans'>;
  readonly clock: () => number;
}

export class Triggers implements Disposable {
  private readonly parts: TriggersParts;
  private readonly timetable: Timetable;
  /** Came due while the guest was away, or when policy has none begin: by guest, why. */
  private readonly owed = new Map<string, ScanTrigger>();
  private readonly waits = new Map<string, NodeJS.Timeout>();

  constructor(parts: TriggersParts) {
    this.parts = parts;
    this.timetable = new Timetable({ clock: parts.clock, onDue: (vm) => this.due(vm, 'schedule') });
  }

  /** A guest is looked after from now on, or its settings are others. */
  enter(vm: VmName): void {
    const last = this.parts.records.scans.lastOf(vm.id);
    this.timetable.set(vm.id, this.scheduleOf(vm), last && new Date(last.startedAt));
  }

  leave(vm: string): void {
    this.timetable.delete(vm);
    this.owed.delete(vm);
    clearTimeout(this.waits.get(vm));
    this.waits.delete(vm);
  }

  nextScan(vm: string): Date | undefined {
    return this.timetable.next(vm);
  }

  connected(vm: VmName): void {
    const { onFirstSight, onConnect } = this.scheduleOf(vm);
    const last = this.parts.records.scans.lastOf(vm.id);
    const owed = this.owed.get(vm.id);
    if (owed) this.begin(vm, owed);
    else if (last === undefined) {
      if (onFirstSight) this.begin(vm, 'first-sight');
    } else if (onConnect && this.parts.clock() - last.startedAt > LEAST_BETWEEN_CONNECTS_MS) {
      this.begin(vm, 'connect');
    }
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
    this.timetable.stop();
    for (const timer of this.waits.values()) clearTimeout(timer);
  }

  /** Now, or as soon as the guest is there. */
  private due(id: string, trigger: ScanTrigger): void {
    const watch = this.parts
      .guests()
      .list()
      .find(({ domain }) => domain.id === id);
    if (watch?.connection.state === 'connected' && trigger !== 'reverted') this.begin(watch.domain, trigger);
    else this.owed.set(id, trigger);
  }

  /** Unless policy has none begin now: then thereafter. */
  private begin(vm: VmName, trigger: ScanTrigger): void {
    const { clock, jobs, settings } = this.parts;
    const now = new Date(clock());
    const allowed = afterBlackout(vm.id, this.scheduleOf(vm), now);
    if (allowed === undefined || allowed > now) {
      this.owed.set(vm.id, trigger);
      if (allowed) this.wait(vm, allowed.getTime() - now.getTime());
      return;
    }
    this.owed.delete(vm.id);
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

  private wait(vm: VmName, milliseconds: number): void {
    clearTimeout(this.waits.get(vm.id));
    const timer = setTimeout(
      () => {
        this.waits.delete(vm.id);
        const owed = this.owed.get(vm.id);
        if (owed) this.due(vm.id, owed);
      },
      Math.min(milliseconds, LONGEST_TIMER_MS),
    );
    this.waits.set(vm.id, timer.unref());
  }

  private scheduleOf(vm: VmName): Schedule {
    return settingsFor(this.parts.settings.current, vm).schedule;
  }
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;
