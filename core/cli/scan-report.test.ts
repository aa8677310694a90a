import { describe, expect, it } from 'vitest';
import { cleanReport, finding, report } from '../../test/records.ts';
import { exitCodeOfReport } from './scan-outcome.ts';
import { renderReport } from './scan-report.ts';
import { plain } from './style.ts';

const STYLE = { width: 100, paint: plain, dryRun: false };

describe('the report of a scan', () => {
  it('tells what was found, what was done, what was missed and what to do next', () => {
    expect(renderReport(report(), STYLE)).toBe(
      `web-1: 1,234 files, 200.0 MiB, 80 processes in 2.0 s, 100.0 MiB/s

malicious  /tmp/eicar.com
  found by yara: EICAR_Test; hashset: eicar
  contained: as policy has it
suspicious  process 4711 (/tmp/.x)
  found by process-origin: deleted executable
  stopped

unscanned  7 subjects: too-large
  /big.iso (9 GiB)
  and 6 more

left out  1 file system that policy.fileSystems does not name
  /mnt/nas (nfs4)

left out  bad.yar:12: syntax error (yara)

1 malicious, 1 suspicious; not everything was scanned
to see or undo what was contained: lazaret quarantine list --vm web-1
`,
    );
  });

  it('counts what it does not name, and says where that is', () => {
    const { scan, ...rest } = report();
    const summary = { ...scan.summary, malicious: 100_000 } as NonNullable<typeof scan.summary>;
    const rendered = renderReport({ ...rest, scan: { ...scan, summary } }, { ...STYLE, state: '/state' });
    expect(rendered).toContain('\nand 99,999 more: lazaret findings --scan scan-1 --state /state\n');
    expect(rendered).toContain('\n100,000 malicious, 1 suspicious; not everything was scanned\n');
  });

  it('tells no rate of a sum that is only known to be at least so large', () => {
    const { scan, ...rest } = report();
    const summary = { ...scan.summary, bytes: Number.MAX_SAFE_INTEGER } as NonNullable<typeof scan.summary>;
    const rendered = renderReport({ ...rest, scan: { ...scan, summary } }, STYLE);
    expect(rendered).toMatch(/^web-1: 1,234 files, 8 PiB or more, 80 processes in 2\.0 s\n/);
  });

  it('is short where all is well', () => {
    expect(renderReport(cleanReport(), STYLE)).toBe(
      'web-1: 10 files, 1.0 KiB, 2 processes in 2.0 s, 512 B/s\n\nclean\n',
    );
  });

  it('says of a clean guest too that it is suspended, and why', () => {
    const { vm, ...rest } = cleanReport();
    const suspended = { at: 1, reason: 'it is a clone of\ndb' };
    expect(renderReport({ ...rest, vm: { ...vm, suspended } }, STYLE)).toContain(
      'suspended  nothing is done to it until it is enrolled again (lazaret enrol web-1): it is a clone of\\x0adb\n',
    );
  });

  it('never calls clean what was not scanned to the end', () => {
    const { scan } = cleanReport();
    const summary = { ...scan.summary, unscanned: { vanished: 1 } } as typeof scan.summary & object;
    const missed = { ...cleanReport(), scan: { ...scan, summary } };
    const failed = { ...cleanReport(), scan: { ...scan, state: 'failed' as const } };
    for (const one of [missed, failed]) {
      expect(renderReport(one, STYLE)).not.toMatch(/^clean$/m);
      expect(renderReport(one, STYLE)).toContain('nothing found, but not everything was scanned');
    }
  });

  it('exits with 2 where something that was to be done failed, and says so', () => {
    const failed = { ...finding(), response: 'failed', reason: 'its file system is read-only' } as const;
    const found = { ...cleanReport(), findings: [failed] };
    expect(exitCodeOfReport(found)).toBe(2);
    expect(renderReport(found, STYLE)).toContain('1 malicious; what should be done about 1 finding failed');
    expect(exitCodeOfReport({ ...found, findings: [finding()] })).toBe(1);
  });

  it('shows the plan of a dry run, and why nothing would be done', () => {
    const rendered = renderReport(report(), { ...STYLE, dryRun: true });
    expect(rendered).toContain('  would be answered with contain:file\n');
    expect(rendered).toContain('  would be reported only: the guest offers no stop:process\n');
    expect(rendered).toContain('nothing was changed; to carry it out: the same command without --dry-run\n');
  });

  it('names the state directory in the next step when the command line did', () => {
    expect(renderReport(report(), { ...STYLE, state: '/tmp/s' })).toContain('--vm web-1 --state /tmp/s\n');
  });
});

describe('the exit code of a scan', () => {
  const { scan } = cleanReport();
  const withUnscanned = (unscanned: Record<string, number>) => ({
    ...scan,
    ...(scan.summary && { summary: { ...scan.summary, unscanned } }),
  });

  it.each([
    ['clean', 0, cleanReport()],
    ['found', 1, { ...cleanReport(), findings: [finding()] }],
    ['unscanned', 2, { ...cleanReport(), scan: withUnscanned({ vanished: 1 }) }],
    ['a rule left out', 2, { ...cleanReport(), problems: report().problems }],
    ['failed', 2, { ...cleanReport(), scan: { ...scan, state: 'failed' as const } }],
    ['found, and a rule left out', 2, report()],
    ['no count above zero', 0, { ...cleanReport(), scan: withUnscanned({ vanished: 0 }) }],
  ])('%s: %i', (_, code, one) => {
    expect(exitCodeOfReport(one)).toBe(code);
  });
});
