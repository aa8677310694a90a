/**
 * The service, put together: the engine, the guests of this host, what has scans begin, the API, and where events go.
 * What is started first ends last.
 */
import { join } from 'node:path';
import type { Logger } from '../api/index.ts';
import { type Settings, settingsFor } from '../config/index.ts';
import { Outbox, type OutboxOptions } from '../events/outbox/outbox.ts';
import type { DomainChange } from '../hypervisor/port.ts';
import type { HostServices, ServiceOptions } from '../services.ts';
import { ActiveThreats } from './active-threats.ts';
import { prepareUploads } from './api/upload.ts';
import { apiOptions } from './api-options.ts';
import { type ServedApi, serveApi } from './api-thread/serve-api.ts';
import { DaemonOperations } from './daemon-operations.ts';
import { OperationError } from './error.ts';
import { EventFeed } from './event-feed.ts';
import { FindingLog } from './finding-log.ts';
import { Guests } from './guests.ts';
import { healthOf } from './health.ts';
import { Meter } from './meter.ts';
import { outletsOf } from './outlets.ts';
import { differs, type Part, Parts } from './parts.ts';
import { grantDiffers, needsRestart } from './reload.ts';
import type { ScanJob } from './scan-job.ts';
import { ScanJobs } from './scan-jobs.ts';
import { guestsOfHost } from './sources.ts';
import { Triggers } from './triggers.ts';
import type { HealthView, ReloadView } from './views.ts';
import { VmActions } from './vm-actions.ts';

/** What is on its way out when the service stops is given so long. */
const LAST_EVENTS_MS = 5_000;

export interface LoadedConfiguration {
  readonly settings: Settings;
  readonly files: readonly string[];
}

export interface DaemonStart {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly startEngine: (settings: Settings, options: ServiceOptions) => Promise<HostServices>;
  /** Reads the configuration again, for a reload. Rejects with ConfigError. */
  readonly load: () => Promise<LoadedConfiguration>;
  /** Called when other settings hold. */
  readonly onReload?: (settings: Settings) => void;
  readonly clock?: () => number;
  /** Its abort gives the start up, which then rejects with its reason. Once started, dispose of the daemon instead. */
  readonly signal?: AbortSignal;
}

export class Daemon implements AsyncDisposable {
  readonly operations: DaemonOperations;
  private readonly start: DaemonStart;
  private readonly engine: HostServices;
  private readonly feed: EventFeed;
  private readonly findings: FindingLog;
  private readonly jobs: ScanJobs;
  private readonly guests: Guests;
  private readonly triggers: Triggers;
  private readonly meter: Meter;
  private readonly threats: ActiveThreats;
  private readonly vmActions: VmActions;
  private readonly parts: Parts;
  private readonly stopping = new AbortController();
  private outbox: Outbox | undefined;
  private served: ServedApi | undefined;
  private turn: Promise<unknown> = Promise.resolve();

  /** Rejects with CodedError, and then leaves nothing running. */
  static async start(start: DaemonStart): Promise<Daemon> {
    const feed = new EventFeed(start.logger);
    const findings = new FindingLog(start.logger);
    let daemon: Daemon | undefined;
    const engine = await start.startEngine(start.settings, {
      signal: start.signal,
      events: feed,
      room: feed,
      logger: start.logger,
      onAction: (action) => daemon?.meter.actionDone(action),
      onAnswered: (...answered) => findings.answered(...answered),
      onPackChange: () => daemon?.triggers.packChanged(),
    });
    daemon = new Daemon(start, engine, { feed, findings });
    try {
      await daemon.run();
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    start: DaemonStart,
    engine: HostServices,
    { feed, findings }: { readonly feed: EventFeed; readonly findings: FindingLog },
  ) {
    const { logger, clock = Date.now } = start;
    const { settings, records, sessions } = engine;
    const guests = () => this.guests;
    this.start = start;
    this.engine = engine;
    this.feed = feed;
    this.findings = findings;
    this.parts = new Parts(logger);
    this.vmActions = new VmActions({ journal: records.vmActions, events: feed, logger, clock });
    this.threats = new ActiveThreats({ settings, guests, records, vmActions: this.vmActions, logger });
    this.jobs = new ScanJobs({
      ...{ scanner: engine.scanner, clock, logger },
      domainOf: (vm) => operations.domainOf(vm),
      onEnded: (job) => this.scanEnded(job),
    });
    feed.alsoTell(this.jobs);
    this.triggers = new Triggers({ settings, guests, jobs: this.jobs, records, clock, logger });
    this.guests = new Guests({
      ...{ sessions, clock, logger },
      onConnected: (domain) => this.triggers.connected(domain),
      onConnection: () => this.served?.changed(),
      onChange: (change) => this.guestChanged(change),
      onGone: (id) => this.triggers.leave(id),
    });
    this.meter = new Meter({
      engine,
      guests: this.guests,
      jobs: this.jobs,
      events: () => this.outbox?.status(),
      logger,
    });
    const operations = new DaemonOperations({
      ...{ engine, settings, guests: this.guests, jobs: this.jobs, triggers: this.triggers },
      vmActions: this.vmActions,
      metrics: this.meter.metrics,
      reload: () => this.reload(),
      health: () => this.health(),
    });
    this.operations = operations;
  }

  /** Ready when scans can be asked for, what they find is kept, and what should be done about it may be. */
  health(): HealthView {
    const { condition } = this.engine;
    return healthOf(this.guests.statuses(), this.feed.reasonToWithhold(), condition.reasons());
  }

  /**
   * Takes the configuration up as it is now. Rejects with ConfigError, or with what a part of the service cannot be
   * started with, and then all is as it was. One reload at a time.
   */
  reload(): Promise<ReloadView> {
    const done = this.turn.then(() => this.takeUp());
    this.turn = done.catch(() => undefined);
    return done;
  }

  /** Ends scans, takes leave of all guests, delivers the last events. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort();
    await this.turn;
    this.triggers[Symbol.dispose]();
    // The last one first, and all of them whatever becomes of one.
    await using stop = new AsyncDisposableStack();
    stop.defer(() => this.engine.close());
    stop.use(this.parts);
    stop.defer(() => this.jobs.close());
  }

  private async run(): Promise<void> {
    const { settings } = this.start;
    for (const part of [this.eventsOut(), guestsOfHost(this.guests, this.start.logger), this.api()])
      await this.parts.start(part, settings);
    await this.engine.packWatch.start(this.stopping.signal);
  }

  private eventsOut(): Part {
    return {
      name: 'what sends events',
      keys: ['events'],
      start: async ({ state, events }) => {
        const { logger } = this.start;
        const outbox = new Outbox({ directory: state, logger, ...placesOf(events) });
        outbox.start();
        this.outbox = outbox;
        this.feed.sendTo(outbox);
        return {
          // Scans that run meanwhile go on: their events are accepted all the time.
          change: (changed) => outbox.use(placesOf(changed.events)),
          [Symbol.asyncDispose]: async () => {
            this.feed.sendTo(undefined);
            this.outbox = undefined;
            await outbox.stop(LAST_EVENTS_MS);
          },
        };
      },
    };
  }

  private api(): Part {
    return {
      name: 'the API',
      keys: ['api'],
      start: async ({ api }) => {
        const { logger } = this.start;
        const onAnswer = this.meter.answered.bind(this.meter);
        const { state } = this.start.settings;
        // On the disk of the state directory: /tmp may be memory.
        const uploads = await prepareUploads(join(state, 'uploads'));
        const data = { state, options: { ...(await apiOptions(api)), uploads } };
        const served = await serveApi({
          ...{ operations: this.operations, data, logger, onAnswer },
          onLeftOut: (row) => this.engine.condition.leaveOut(row),
        });
        this.served = served;
        return served;
      },
    };
  }

  private guestChanged({ domain, kind }: Pick<DomainChange, 'domain' | 'kind'>): void {
    this.served?.changed();
    void this.vmActions.reconcile(domain, this.guests.sourceOf(domain.id).control);
    if (kind === 'defined' || kind === 'redefined') this.triggers.enter(domain);
    if (kind === 'started' || kind === 'rebooted' || kind === 'reverted')
      this.engine.records.vms.mintEpoch(domain.id);
    if (kind === 'reverted') this.triggers.reverted(domain.id);
  }

  private scanEnded(job: ScanJob): Promise<void> {
    this.served?.changed();
    this.meter.scanEnded(job);
    this.findings.scanEnded(job.id);
    this.triggers.ended(job);
    return this.threats.answer(job);
  }

  private async takeUp(): Promise<ReloadView> {
    const { load, logger, onReload } = this.start;
    if (this.stopping.signal.aborted)
      throw new OperationError('shutting-down', 'the service is being stopped: nothing is taken up any more');
    const before = this.engine.settings.current;
    const { settings, files } = await load();
    await this.parts.change(before, settings);
    try {
      await this.engine.reconfigure(settings);
    } catch (error) {
      await this.parts.change(settings, before);
      throw error;
    }
    onReload?.(settings);
    await this.engine.packWatch.look();
    await this.renewGrants(before, settings);
    const problems = needsRestart(before, settings).map(
      (key) => `${key}: counts from the next start of the service`,
    );
    for (const problem of problems) logger.warn(problem);
    this.served?.changed();
    logger.info('the configuration was taken up', { files });
    return { files: [...files], problems, vms: this.guests.list().length };
  }

  /** A guest that would be granted something else now gets a new session, unless it is being scanned: then after that. */
  private async renewGrants(before: Settings, now: Settings): Promise<void> {
    const needsMayDiffer = differs(['plugins'], before, now);
    for (const watch of this.guests.list()) {
      this.triggers.enter(watch.domain);
      const [was, is] = [settingsFor(before, watch.domain), settingsFor(now, watch.domain)];
      if (!needsMayDiffer && !grantDiffers(was, is)) continue;
      const busy = this.jobs.ofVm(watch.domain.id).map(({ ended }) => ended);
      void Promise.all(busy).then(() => watch.renew());
    }
  }
}

const placesOf = (events: Settings['events']): Pick<OutboxOptions, 'outlets' | 'bytes'> => ({
  outlets: outletsOf(events),
  bytes: events.spool.bytes,
});
