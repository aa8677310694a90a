#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/**
 * Benchmarks over a directory that plays the guest: `npm run bench -- [DIR] [--rules PATH]`. Prints each stage
 * of a scan, the whole scan, and `yara -r -p 2` over the same tree in the same run. Figures are ratios to be
 * compared within one run: machines differ.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { startGuest } from './guest.ts';
import { residentMegabytes } from './processes.ts';
import { connect, type Measured, measureContent, measureInventory, measureScan } from './stages.ts';
import { timeYara } from './yara-program.ts';

const GiB = 1024 ** 3;
const SMALL_BYTES = 16 * 1024;
const OWN_RULES = fileURLToPath(new URL('../../demo/rules', import.meta.url));

// As core/main.ts does.
setFlagsFromString('--no-incremental-marking');

const { values, positionals } = parseArgs({
  options: { rules: { type: 'string', default: OWN_RULES }, 'no-scan': { type: 'boolean', default: false } },
  allowPositionals: true,
});
const root = resolve(positionals[0] ?? '/usr');
const rules = resolve(values.rules);
const state = mkdtempSync(join(tmpdir(), 'lazaret-bench-state-'));

try {
  await using guest = await startGuest(root);
  print(
    `guest: ${root}, served by the agent (${guest.packaging}), idle ${residentMegabytes(guest.pid).toFixed(0)} MB resident`,
  );

  const connected = await connect(guest, state);
  const { measured: inventory, items } = await measureInventory(guest, connected);
  row('inventory', inventory);
  // Once for the page cache, so that disks are not what is measured.
  await measureContent(guest, connected, items);
  row('content to the spool', await measureContent(guest, connected, items));
  const small = items.filter(({ facts }) => facts.size <= SMALL_BYTES);
  row(`  files up to ${SMALL_BYTES / 1024} KiB`, await measureContent(guest, connected, small));
  await connected.session.close();

  if (!values['no-scan']) {
    const { measured: scan, setUp, findings, unscanned } = await measureScan(guest, state, rules);
    row('whole scan', scan);
    print(
      `  rules compiled in ${setUp.toFixed(1)} s before it; ${findings} findings; unscanned ${JSON.stringify(unscanned)}`,
    );
    const yara = timeYara(rules, root);
    if (yara === undefined) print('yara is not installed, so nothing to compare with: apt-get install yara');
    else {
      row('yara -r -N -p 2', { ...scan, seconds: yara, guestCpu: 0, hostCpu: Number.NaN });
      print(
        `the whole scan runs at ${((100 * yara) / scan.seconds).toFixed(0)} % of the rate of yara -r -p 2`,
      );
    }
  }
} finally {
  rmSync(state, { recursive: true });
}

function row(name: string, { files, bytes, seconds, guestCpu, hostCpu }: Measured): void {
  const cpu = (cpuSeconds: number) =>
    Number.isNaN(cpuSeconds) ? '-' : (cpuSeconds / (bytes / GiB)).toFixed(2);
  print(
    [
      name.padEnd(24),
      `${files} files`.padStart(14),
      `${(bytes / 1e6).toFixed(0)} MB`.padStart(9),
      `${seconds.toFixed(2)} s`.padStart(9),
      `${(files / seconds).toFixed(0)} files/s`.padStart(15),
      `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`.padStart(10),
      `CPU s/GiB: guest ${cpu(guestCpu)}, host ${cpu(hostCpu)}`,
    ].join('  '),
  );
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
