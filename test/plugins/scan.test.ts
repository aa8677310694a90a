/** Scans with plugins that mean ill: what others find stays found, and what a plugin did not look at is unscanned. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type IsolationLimits, LIMITS } from '../../core/plugin/isolated-detector.ts';
import { isolatedPlugin } from '../../core/plugin/isolated-plugin.ts';
import { readPackage } from '../../core/plugin/manifest.ts';
import type { ScanReport } from '../../core/scan/report.ts';
import { answersIn } from '../scan/engine.ts';
import { ScriptedScan } from '../scan/scripted-scan.ts';
import { MARKER } from '../scan/served-folder.ts';
import { forThisTest, serve, startEngine } from '../scan/setting.ts';

const FILES = [
  { path: '/good', content: 'good' },
  { path: '/evil', content: 'evil' },
  { path: '/odd-poison', content: 'odd' },
  { path: '/poison', content: 'nothing to see' },
];

const fixture = (id: string): string => join(import.meta.dirname, 'fixtures', `lazaret-plugin-${id}`);
let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'lazaret-ill-meant-'));
});
afterEach(() => rmSync(place, { recursive: true }));

async function scanWith(id: string | undefined, limits: Partial<IsolationLimits> = {}): Promise<ScanReport> {
  const ill =
    id === undefined ? [] : [isolatedPlugin(readPackage(fixture(id)), [place], { ...LIMITS, ...limits })];
  const scan = forThisTest(await ScriptedScan.of({ files: FILES }, { others: ill }));
  return scan.run();
}

/** What was found by others than the plugin. */
const foundBesides = ({ findings }: ScanReport, id: string): string[] =>
  findings
    .flatMap(({ subject, detections }) =>
      detections
        .filter(({ detector }) => detector !== id)
        .map(({ name }) => `${subject.kind === 'file' ? subject.path : subject.pid}: ${name}`),
    )
    .sort();

const BESIDES = ['/evil: Evil', '/odd-poison: Odd'];

describe('a scan with a plugin that', () => {
  it.each([
    ['exit', {}, /exit 3/],
    ['hang', { fileMs: 1_500 }, /did not answer within 1500 ms/],
    ['leak', { memoryBytes: 200 * 1024 * 1024 }, /more than 200 MiB/],
    ['lie', {}, /does not understand/],
  ])(
    'does %s finds all else, and calls nothing clean that it did not look at',
    async (id, limits, reason) => {
      expect(foundBesides(await scanWith(undefined), id)).toEqual(BESIDES);
      const report = await scanWith(id, limits);
      expect(report.scan.state).toBe('finished');
      expect(foundBesides(report, id)).toEqual(BESIDES);
      expect(report.unscanned).toContainEqual({
        path: '/poison',
        reason: 'engine-failed',
        detail: expect.stringMatching(reason),
      });
    },
  );

  it('floods it with findings keeps what others found, and each file once', async () => {
    const report = await scanWith('flood');
    expect(foundBesides(report, 'flood')).toEqual(BESIDES);
    expect(report.findings).toHaveLength(FILES.length);
    for (const { detections } of report.findings) expect(detections.length).toBeLessThan(70);
    expect(report.unscanned).toEqual([]);
  });
});

it('the engine takes plugins from their directories, and says of those that it refuses', async () => {
  const guest = await serve();
  guest.plant('/srv/marked', `# ${MARKER}\n`);
  guest.plant('/srv/poison', 'nothing to see');
  const pluginDirectories = [fixture('exit'), fixture('flood'), join(fixture('none'), 'such')];
  const engine = await startEngine(guest, { pluginDirectories });
  const report = await engine.scan();
  expect(answersIn(report)).toEqual({ '/srv/marked': 'reported', '/srv/poison': 'reported' });
  const byMark = report.findings.find(({ detections }) =>
    detections.some(({ name }) => name === 'Scan_Test_Marker'),
  );
  expect(byMark).toMatchObject({ judgement: 'malicious' });
  expect(report.problems).toMatchObject([{ detector: 'plugins', file: join(fixture('none'), 'such') }]);
  expect(engine.spooled()).toEqual([]);
});
