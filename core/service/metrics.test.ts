import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { report } from '../../test/records.ts';
import type { OutboxStatus } from '../events/outbox/outbox.ts';
import { version } from '../version.ts';
import type { MetricSources } from './metric-sources.ts';
import { Metrics } from './metrics.ts';

const events = (): OutboxStatus => ({
  events: 7,
  bytes: 700,
  limit: 1_000,
  rejected: 2,
  sinks: [
    { sink: 'file', queued: 0, oldestAgeMs: 0, delivered: 9, refused: 0, failures: 0, lastError: undefined },
    {
      sink: 'syslog',
      queued: 7,
      oldestAgeMs: 61_500,
      delivered: 2,
      refused: 1,
      failures: 3,
      lastError: { at: 1, message: 'nobody is there' },
    },
  ],
});
const sources: MetricSources = {
  vms: () => [
    { name: 'web-1', state: 'connected', lastScanAt: 5_000 },
    { name: 'web-2', state: 'connected' },
    { name: 'db-1', state: 'waiting', lastScanAt: 6_000 },
  ],
  runningScans: () => 2,
  quarantine: () => ({ held: 3, bytes: 123, refused: 7 }),
  events,
  spool: () => ({ bytes: 10, limit: 20 }),
  packs: () => [{ vendor: 'acme', id: 'rules', createdAt: 1_000, expiresAt: 2_000 }],
};
/** Lines without comments, as a map of series to values. */
async function read(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('metrics', () => {
  test('count what happened', async () => {
    const metrics = new Metrics();
    const summary = {
      files: 10,
      bytes: 99,
      unchanged: 4,
      claimed: 3,
      processes: 2,
      malicious: 1,
      suspicious: 2,
      unscanned: { 'too-large': 7 },
    };
    metrics.scanEnded({ outcome: 'completed', trigger: 'schedule', durationMs: 1_500, summary });
    metrics.scanEnded({ outcome: 'completed', trigger: 'schedule', durationMs: 90_000, summary });
    metrics.scanEnded({ outcome: 'failed', trigger: 'manual', durationMs: 1 });
    metrics.actionDone('contain:file', 'done');
    metrics.engineRestarted('yara');
    metrics.requestAnswered({ method: 'GET', route: '/v1/vms/:id', status: 200, durationMs: 3 });
    const series = await read(metrics);
    expect(Object.fromEntries(series)).toMatchObject({
      'lazaret_scans_total{outcome="completed",trigger="schedule"}': 2,
      'lazaret_scans_total{outcome="failed",trigger="manual"}': 1,
      'lazaret_scan_duration_seconds_sum{outcome="completed"}': 91.5,
      'lazaret_scan_duration_seconds_bucket{le="2",outcome="completed"}': 1,
      lazaret_scan_files_total: 20,
      lazaret_scan_bytes_total: 198,
      lazaret_scan_processes_total: 4,
      'lazaret_scan_known_files_total{how="unchanged"}': 8,
      'lazaret_scan_known_files_total{how="claimed"}': 6,
      'lazaret_scan_unscanned_total{reason="too-large"}': 14,
      'lazaret_findings_total{judgement="malicious"}': 2,
      'lazaret_findings_total{judgement="suspicious"}': 4,
      'lazaret_actions_total{instruction="contain:file",outcome="done"}': 1,
      'lazaret_engine_restarts_total{plugin="yara"}': 1,
      'lazaret_api_request_duration_seconds_count{method="GET",route="/v1/vms/:id",status="200"}': 1,
      [`lazaret_build_info{version="${version}",node="${process.version}"}`]: 1,
    });
    expect(series.get('process_start_time_seconds')).toBeGreaterThan(0);
  });

  test('ask for what is', async () => {
    const series = await read(new Metrics({ sources }));
    expect(Object.fromEntries(series)).toMatchObject({
      'lazaret_vms{state="connected"}': 2,
      'lazaret_vms{state="waiting"}': 1,
      'lazaret_vm_last_scan_timestamp_seconds{vm="web-1"}': 5,
      lazaret_scans_running: 2,
      lazaret_quarantine_files: 3,
      lazaret_quarantine_bytes: 123,
      lazaret_quarantine_refused_total: 7,
      'lazaret_events_queued{sink="syslog"}': 7,
      'lazaret_events_oldest_age_seconds{sink="syslog"}': 61.5,
      'lazaret_events_delivered_total{sink="file"}': 9,
      'lazaret_events_dropped_total{sink="syslog"}': 1,
      'lazaret_event_sink_up{sink="file"}': 1,
      'lazaret_event_sink_up{sink="syslog"}': 0,
      lazaret_events_rejected_total: 2,
      lazaret_event_spool_bytes: 700,
      lazaret_event_spool_limit_bytes: 1_000,
      lazaret_spool_bytes: 10,
      lazaret_spool_limit_bytes: 20,
      'lazaret_pack_created_timestamp_seconds{vendor="acme",pack="rules"}': 1,
      'lazaret_pack_expiry_timestamp_seconds{vendor="acme",pack="rules"}': 2,
    });
    expect([...series.keys()].some((name) => name.includes('web-2'))).toBe(false);
  });

  test('say nothing of what nobody told', async () => {
    const own = [...(await read(new Metrics())).keys()].filter((name) => name.startsWith('lazaret_'));
    expect(own.filter((name) => /quarantine|spool|vms|rejected|running/.test(name))).toEqual([]);
  });

  test('forget what is no more', async () => {
    let vms = [{ name: 'a', state: 'connected', lastScanAt: 1 }];
    const metrics = new Metrics({ sources: { vms: () => vms, events } });
    await read(metrics);
    vms = [];
    const series = [...(await read(metrics)).entries()];
    expect(series.filter(([name]) => name.startsWith('lazaret_vm'))).toEqual([]);
    expect(new Map(series).get('lazaret_events_delivered_total{sink="file"}')).toBe(9);
  });

  test('that cannot be read do not cost the others, and are counted and said', async () => {
    const failed: unknown[] = [];
    const broken = () => {
      throw new Error('the database is closed');
    };
    const metrics = new Metrics({
      sources: { ...sources, quarantine: broken },
      failed: (...fault) => failed.push(fault),
    });
    const series = await read(metrics);
    expect(series.get('lazaret_scans_running')).toBe(2);
    expect(series.has('lazaret_quarantine_bytes')).toBe(false);
    expect(series.get('lazaret_metric_failures_total{metric="quarantine_bytes"}')).toBe(1);
    expect(failed).toContainEqual(['quarantine_bytes', new Error('the database is closed')]);
  });

  test('of two services do not mix', async () => {
    const [one, other] = [new Metrics(), new Metrics()];
    one.engineRestarted('yara');
    expect((await read(other)).has('lazaret_engine_restarts_total{plugin="yara"}')).toBe(false);
  });
});

describe('labels', () => {
  test('have only so many values, and none of an odd form', async () => {
    const metrics = new Metrics({
      sources: {
        vms: () =>
          Array.from({ length: 500 }, (_, index) => ({
            name: `vm-${1_000 + index}`,
            state: 'connected',
            lastScanAt: 1,
          })),
      },
      vmSeries: 3,
    });
    for (let index = 0; index < 5_000; index++) {
      metrics.engineRestarted(`plugin-${index}`);
      metrics.requestAnswered({ method: 'GET', route: `/v1/x/${index}`, status: 200, durationMs: 1 });
      metrics.actionDone('contain:file', `/tmp/\u001b[2J"} 1\n${index}`);
    }
    const names = [...(await read(metrics)).keys()];
    const count = (prefix: string) => names.filter((name) => name.startsWith(prefix)).length;
    expect(count('lazaret_engine_restarts_total')).toBe(65);
    expect(count('lazaret_api_request_duration_seconds_count')).toBe(129);
    expect(names.filter((name) => name.startsWith('lazaret_actions_total'))).toEqual([
      'lazaret_actions_total{instruction="contain:file",outcome="other"}',
    ]);
    expect(names.filter((name) => name.startsWith('lazaret_vm_last'))).toEqual(
      ['vm-1000', 'vm-1001', 'vm-1002'].map((vm) => `lazaret_vm_last_scan_timestamp_seconds{vm="${vm}"}`),
    );
  });

  test('come from the summary of a real scan as well', async () => {
    const metrics = new Metrics();
    const { scan } = report();
    metrics.scanEnded({ outcome: 'completed', trigger: 'manual', durationMs: 1, summary: scan.summary });
    expect((await read(metrics)).get('lazaret_scan_files_total')).toBe(scan.summary?.files);
  });
});

test('every name is as Prometheus has them', async () => {
  const metrics = await new Metrics({ sources }).registry.getMetricsAsJSON();
  const own = metrics.filter(({ name }) => name.startsWith('lazaret_'));
  expect(own.length).toBeGreaterThan(25);
  for (const { name, type, help } of own) {
    expect(name).toMatch(/^lazaret_[a-z]+(_[a-z]+)*$/);
    expect(help).toMatch(/\.$/);
    expect(name.endsWith('_total'), name).toBe(String(type) === 'counter');
    expect(name).not.toMatch(/(milliseconds|_ms|kilobytes)/);
  }
});

describe('the dashboard', () => {
  interface Panel {
    readonly type: string;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[];
  }
  const file = new URL('../../config/grafana-dashboard.json', import.meta.url);
  const dashboard = JSON.parse(readFileSync(file, 'utf8')) as { readonly panels: readonly Panel[] };
  const panels = dashboard.panels.filter(({ type }) => type !== 'row');
  const metricsIn = (expr: string): string[] => expr.match(/\b(lazaret|process|nodejs)_[a-z0-9_]+/g) ?? [];

  test('shows metrics that there are', async () => {
    const registered = new Map(
      (await new Metrics({ sources }).registry.getMetricsAsJSON()).map(({ name, type }) => [
        name,
        String(type),
      ]),
    );
    const shown = panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => metricsIn(expr)));
    expect(new Set(shown).size).toBeGreaterThan(25);
    for (const name of shown) {
      const histogram = name.replace(/_(bucket|sum|count)$/, '');
      expect(registered.has(name) || registered.get(histogram) === 'histogram', name).toBe(true);
    }
  });

  test('leaves out none of ours', async () => {
    const all = (await new Metrics({ sources }).registry.getMetricsAsJSON()).map(({ name }) => name);
    const text = JSON.stringify(dashboard);
    expect(all.filter((name) => name.startsWith('lazaret_') && !text.includes(name))).toEqual([]);
  });

  test('uses labels that the metrics have', () => {
    const metrics = new Metrics({ sources }).registry.getMetricsAsArray();
    const labels = metrics.flatMap((metric) => (metric as unknown as { labelNames: string[] }).labelNames);
    const known = new Set(['instance', 'le', ...labels]);
    const used = panels.flatMap(({ targets = [] }) =>
      targets.flatMap(({ expr, legendFormat = '' }) => [
        ...[...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(', ')),
        ...[...expr.matchAll(/[{,](\w+)=/g)].map(([, name = '']) => name),
        ...[...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name),
      ]),
    );
    expect(used.length).toBeGreaterThan(30);
    expect(used.filter((label) => !known.has(label))).toEqual([]);
  });

  test('has a title, a unit and a place of its own for every panel', () => {
    const taken = new Set<string>();
    for (const { title, gridPos, fieldConfig, targets } of panels) {
      expect(title).not.toBe('');
      expect(fieldConfig?.defaults.unit, title).toMatch(/./);
      expect(targets?.length, title).toBeGreaterThan(0);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x},${y}`), title).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    }
  });
});
