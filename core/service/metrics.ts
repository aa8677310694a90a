/**
 * What the service counts and measures, for Prometheus (https://prometheus.io/docs/practices/naming/): counters end in
 * `_total`, units are seconds and bytes. Counters and histograms are told what happened; gauges ask when they are read.
 * No label holds a path, a hash or anything else that a guest chose.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ScanSummary } from '../store/records.ts';
import { version } from '../version.ts';
import { LabelValues } from './labels.ts';
import { type MetricSources, registerGauges } from './metric-sources.ts';

export interface MetricsOptions {
  readonly sources?: MetricSources;
  /** How many VMs have series of their own, the first by name. Default 200; 0 for none. */
  readonly vmSeries?: number;
  /** Told when a metric cannot be read; the others are read all the same. */
  readonly failed?: (metric: string, error: unknown) => void;
}

export interface EndedScan {
  readonly outcome: 'completed' | 'cancelled' | 'failed';
  /** What had it start: `manual`, `schedule`, `connect`, … */
  readonly trigger: string;
  readonly durationMs: number;
  readonly summary?: ScanSummary | undefined;
}

export interface ApiRequest {
  readonly method: string;
  /** As it is declared, with its parameters by name: never the path that was asked for. */
  readonly route: string;
  /** HTTP status. */
  readonly status: number;
  readonly durationMs: number;
}

const SCAN_SECONDS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400];
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DEFAULT_VM_SERIES = 200;
const MOST_VALUES = 64;
const MOST_ROUTES = 128;

export class Metrics {
  readonly registry = new Registry();
  /** Labels method, route, status; seconds. */
  readonly apiRequests: Histogram<'method' | 'route' | 'status'>;
  private readonly scans = this.counter('scans_total', 'Scans that ended.', ['outcome', 'trigger']);
  private readonly durations: Histogram<'outcome'>;
  private readonly files = this.counter('scan_files_total', 'Files that scans listed.');
  private readonly bytes = this.counter('scan_bytes_total', 'Bytes of the files that scans listed.');
  private readonly processes = this.counter('scan_processes_total', 'Processes that scans listed.');
  private readonly known = this.counter(
    'scan_known_files_total',
    'Files that were not fetched, as their content is known: unchanged since, or claimed by the agent.',
    ['how'],
  );
  private readonly unscanned = this.counter('scan_unscanned_total', 'Subjects left without a verdict.', [
    'reason',
  ]);
  private readonly findings = this.counter('findings_total', 'Findings of scans.', ['judgement']);
  private readonly actions = this.counter('actions_total', 'Instructions sent to guests.', [
    'instruction',
    'outcome',
  ]);
  private readonly restarts = this.counter('engine_restarts_total', 'Engines and plugins started again.', [
    'plugin',
  ]);
  private readonly values = new Map<string, LabelValues>();

  constructor({ sources = {}, vmSeries = DEFAULT_VM_SERIES, failed = () => undefined }: MetricsOptions = {}) {
    const registers = [this.registry];
    this.durations = new Histogram({
      name: 'lazaret_scan_duration_seconds',
      help: 'How long scans took.',
      labelNames: ['outcome'],
      buckets: SCAN_SECONDS,
      registers,
    });
    this.apiRequests = new Histogram({
      name: 'lazaret_api_request_duration_seconds',
      help: 'How long requests to the API took.',
      labelNames: ['method', 'route', 'status'],
      buckets: REQUEST_SECONDS,
      registers,
    });
    const build = new Gauge({
      name: 'lazaret_build_info',
      help: 'The release that runs: always 1.',
      labelNames: ['version', 'node'],
      registers,
    });
    build.set({ version, node: process.version }, 1);
    registerGauges(this.registry, sources, { vmSeries, failed });
    collectDefaultMetrics({ register: this.registry });
  }

  scanEnded({ outcome, trigger, durationMs, summary }: EndedScan): void {
    this.scans.inc({ outcome, trigger: this.bounded('trigger', trigger) });
    this.durations.observe({ outcome }, durationMs / 1000);
    if (!summary) return;
    this.files.inc(summary.files);
    this.bytes.inc(summary.bytes);
    this.processes.inc(summary.processes);
    this.known.inc({ how: 'unchanged' }, summary.unchanged);
    this.known.inc({ how: 'claimed' }, summary.claimed);
    this.findings.inc({ judgement: 'malicious' }, summary.malicious);
    this.findings.inc({ judgement: 'suspicious' }, summary.suspicious);
    for (const [reason, count] of Object.entries(summary.unscanned)) {
      this.unscanned.inc({ reason: this.bounded('reason', reason) }, count);
    }
  }

  /** An instruction's outcome: a code of the contract, or `refused` where it was not sent. */
  actionDone(instruction: string, outcome: string): void {
    this.actions.inc({
      instruction: this.bounded('instruction', instruction),
      outcome: this.bounded('outcome', outcome),
    });
  }

  engineRestarted(plugin: string): void {
    this.restarts.inc({ plugin: this.bounded('plugin', plugin) });
  }

  requestAnswered({ method, route, status, durationMs }: ApiRequest): void {
    this.apiRequests.observe(
      {
        method: this.bounded('method', method, 16),
        route: this.bounded('route', route, MOST_ROUTES),
        status: this.bounded('status', String(status)),
      },
      durationMs / 1000,
    );
  }

  /** In Prometheus' text format; `contentType` names it. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  private counter<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
  ): Counter<Label> {
    return new Counter({ name: `lazaret_${name}`, help, labelNames, registers: [this.registry] });
  }

  private bounded(label: string, value: string, most = MOST_VALUES): string {
    const values = this.values.get(label) ?? new LabelValues(most);
    this.values.set(label, values);
    return values.of(value);
  }
}
