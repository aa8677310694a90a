/** Gauges, and counters that others keep: what they are is asked for whenever metrics are read. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { OutboxStatus } from '../events/outbox/outbox.ts';

export interface VmMetrics {
  /** As it is configured, or as the hypervisor has it. */
  readonly name: string;
  /** Of its connection: one of a closed list. */
  readonly state: string;
  /** When its last complete scan ended, milliseconds since 1970. */
  readonly lastScanAt?: number | undefined;
}

export interface PackMetrics {
  readonly vendor: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Each is called for every read, and must be quick. What is left out has no series. */
export interface MetricSources {
  vms?(): Iterable<VmMetrics>;
  runningScans?(): number;
  quarantine?(): { readonly held: number; readonly bytes: number; readonly refused: number };
  events?(): OutboxStatus;
  /** Content that waits for its detectors. */
  spool?(): { readonly bytes: number; readonly limit: number };
  packs?(): Iterable<PackMetrics>;
}

/** Sets what a metric is: its value for one combination of labels. */
type Set = (labels: Readonly<Record<string, string>>, value: number) => void;

interface Definition {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly kind?: 'counter';
  readonly collect: (sources: MetricSources, set: Set) => void;
}

const seconds = (milliseconds: number): number => milliseconds / 1000;

const EVENTS: readonly Definition[] = [
  {
    name: 'events_queued',
    help: 'Events that a sink has not got yet.',
    labels: ['sink'],
    collect: ({ events }, set) => {
      for (const { sink, queued } of events?.().sinks ?? []) set({ sink }, queued);
    },
  },
  {
    name: 'events_oldest_age_seconds',
    help: 'How long the oldest event has waited that a sink has not got yet.',
    labels: ['sink'],
    collect: ({ events }, set) => {
      for (const { sink, oldestAgeMs } of events?.().sinks ?? []) set({ sink }, seconds(oldestAgeMs));
    },
  },
  {
    name: 'event_sink_up',
    help: 'Whether a sink took events at the last try.',
    labels: ['sink'],
    collect: ({ events }, set) => {
      for (const { sink, lastError } of events?.().sinks ?? []) set({ sink }, lastError ? 0 : 1);
    },
  },
  {
    name: 'events_delivered_total',
    help: 'Events that a sink took.',
    labels: ['sink'],
    kind: 'counter',
    collect: ({ events }, set) => {
      for (const { sink, delivered } of events?.().sinks ?? []) set({ sink }, delivered);
    },
  },
  {
    name: 'events_dropped_total',
    help: 'Events that a sink refused for good: they were put aside into a file.',
    labels: ['sink'],
    kind: 'counter',
    collect: ({ events }, set) => {
      for (const { sink, refused } of events?.().sinks ?? []) set({ sink }, refused);
    },
  },
  {
    name: 'events_rejected_total',
    help: 'Events that the spool did not accept: it was full, or its disk failed.',
    kind: 'counter',
    collect: ({ events }, set) => {
      if (events) set({}, events().rejected);
    },
  },
  {
    name: 'event_spool_bytes',
    help: 'Bytes of events that wait for some sink.',
    collect: ({ events }, set) => {
      if (events) set({}, events().bytes);
    },
  },
  {
    name: 'event_spool_limit_bytes',
    help: 'Bytes of events that may wait.',
    collect: ({ events }, set) => {
      if (events) set({}, events().limit);
    },
  },
];

const OTHERS: readonly Definition[] = [
  {
    name: 'scans_running',
    help: 'Scans that run now.',
    collect: ({ runningScans }, set) => {
      if (runningScans) set({}, runningScans());
    },
  },
  {
    name: 'quarantine_files',
    help: 'Contained files in the vault.',
    collect: ({ quarantine }, set) => {
      if (quarantine) set({}, quarantine().held);
    },
  },
  {
    name: 'quarantine_bytes',
    help: 'Bytes of contained files in the vault.',
    collect: ({ quarantine }, set) => {
      if (quarantine) set({}, quarantine().bytes);
    },
  },
  {
    name: 'quarantine_refused_total',
    help: 'Files that were not contained as the vault took no more of their VM.',
    kind: 'counter',
    collect: ({ quarantine }, set) => {
      if (quarantine) set({}, quarantine().refused);
    },
  },
  {
    name: 'spool_bytes',
    help: 'Bytes of content that waits for its detectors.',
    collect: ({ spool }, set) => {
      if (spool) set({}, spool().bytes);
    },
  },
  {
    name: 'spool_limit_bytes',
    help: 'Bytes of content that may wait for its detectors.',
    collect: ({ spool }, set) => {
      if (spool) set({}, spool().limit);
    },
  },
  {
    name: 'pack_created_timestamp_seconds',
    help: 'When the pack in use was made, seconds since 1970.',
    labels: ['vendor', 'pack'],
    collect: ({ packs }, set) => {
      for (const { vendor, id, createdAt } of packs?.() ?? []) set({ vendor, pack: id }, seconds(createdAt));
    },
  },
  {
    name: 'pack_expiry_timestamp_seconds',
    help: 'When the pack in use expires, seconds since 1970.',
    labels: ['vendor', 'pack'],
    collect: ({ packs }, set) => {
      for (const { vendor, id, expiresAt } of packs?.() ?? []) set({ vendor, pack: id }, seconds(expiresAt));
    },
  },
];

const vmMetrics = (series: number): readonly Definition[] => [
  {
    name: 'vms',
    help: 'VMs by the state of their connection.',
    labels: ['state'],
    collect: ({ vms }, set) => {
      const counts = Map.groupBy(vms?.() ?? [], ({ state }) => state);
      for (const [state, those] of counts) set({ state }, those.length);
    },
  },
  {
    name: 'vm_last_scan_timestamp_seconds',
    help: 'When the last complete scan of a VM ended, seconds since 1970.',
    labels: ['vm'],
    collect: ({ vms }, set) => {
      const first = [...(vms?.() ?? [])]
        .toSorted((one, other) => (one.name < other.name ? -1 : 1))
        .slice(0, series);
      for (const { name, lastScanAt } of first)
        if (lastScanAt !== undefined) set({ vm: name }, seconds(lastScanAt));
    },
  },
];

export interface GaugeOptions {
  /** How many VMs have series of their own. */
  readonly vmSeries: number;
  /** Told when a metric cannot be read; the others are read all the same. */
  readonly failed: (metric: string, error: unknown) => void;
}

export function registerGauges(registry: Registry, sources: MetricSources, options: GaugeOptions): void {
  const failures = new Counter({
    name: 'lazaret_metric_failures_total',
    help: 'Metrics that could not be read.',
    labelNames: ['metric'],
    registers: [],
  });
  const read = ({ name, collect }: Definition, set: Set): void => {
    try {
      collect(sources, set);
    } catch (error) {
      failures.inc({ metric: name });
      options.failed(name, error);
    }
  };
  for (const definition of [...vmMetrics(options.vmSeries), ...OTHERS, ...EVENTS]) {
    register(registry, definition, read);
  }
  // After those that it counts the failures of.
  registry.registerMetric(failures);
}

function register(
  registry: Registry,
  definition: Definition,
  read: (from: Definition, set: Set) => void,
): void {
  const { name, help, labels: labelNames = [], kind } = definition;
  const common = { name: `lazaret_${name}`, help, labelNames, registers: [registry] };
  if (kind === 'counter') {
    new Counter({
      ...common,
      collect() {
        forget(this, definition);
        read(definition, (labels, value) => this.inc(labels, value));
      },
    });
    return;
  }
  new Gauge({
    ...common,
    collect() {
      forget(this, definition);
      read(definition, (labels, value) => this.set(labels, value));
    },
  });
}

/** What was is no more. A metric without labels would be 0 after a reset, which nobody said. */
function forget(metric: Counter | Gauge, { labels }: Definition): void {
  metric.reset();
  if (!labels) metric.remove({});
}
