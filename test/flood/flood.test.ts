/**
 * Everything that a guest decides the amount of, given in an amount that does not fit into memory: the scan has 256 MB
 * of it, ends by itself, and says what was too much. A new kind of such a thing is a new entry of FLOODS, and of the
 * table of bounds in docs/threat-model.md.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type InventoryLine, LIMITS } from '../../protocol/index.ts';
import { need } from '../need.ts';
import { type FloodedOptions, FloodedScan, PROGRAM, type Ran } from './flooded-scan.ts';
import { directory, end, type Flood, type Process } from './flooding-guest.ts';

const ready = need(
  { what: 'the built program', there: existsSync(PROGRAM), get: 'npm run build' },
  { what: '/dev/shm', there: existsSync('/dev/shm'), get: 'mount -t tmpfs tmpfs /dev/shm' },
);

/** MiB: the heap is bounded by 256 MB, and what lies outside of it (buffers, the runtime, engines' libraries) by this. */
const MOST_RESIDENT = 320;
const PATIENCE_MS = 300_000;
const LINE_FILES = 512;

interface FloodCase {
  readonly flood: Flood;
  readonly options?: FloodedOptions;
  /** Of the last of `runs`. */
  readonly code: number;
  readonly says: RegExp;
  readonly runs?: number;
}

function* times<Item>(count: number, make: (at: number) => Item): Generator<Item> {
  for (let at = 0; at < count; at++) yield make(at);
}

function* ended(lines: Iterable<InventoryLine>): Generator<InventoryLine> {
  yield* lines;
  yield end();
}

/** Directories of so many files each, all of this size. */
const directories = (count: number, files: number, size: number, path = (at: number) => `/srv/${at}`) =>
  times(count, (at) => directory(path(at), [...times(files, (file) => `f${file}`)], size));

const EVIL = Buffer.from('evil, by its hash');
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
/** A path of nearly 4,096 bytes that ends with the number. */
const longPath = (at: number): string => `${`/${'x'.repeat(250)}`.repeat(15)}/${at}`;
/** A content of its own for each path. */
const own = (path: string): Buffer => Buffer.from(path.padEnd(64).slice(-64));

const STARTS = 500;
const startsOf = (path: string): Buffer =>
  Buffer.from([...times(STARTS, (at) => `${sha256(Buffer.from(path + at)).slice(0, 48)}`)].join('\n'));
const STARTS_SIZE = startsOf('').length;

const process = (pid: number, argument: string): Process => ({
  ...{ type: 'process', pid, parent: 1, start: '5', uid: 0, name: 'x', commandLine: [argument] },
  executable: { path: `/x${pid}`, dev: '1', ino: String(pid), deleted: false, inMemory: false },
});
const withProcesses = (argument: string): Flood => ({
  lines: () => [end()],
  processes: (after) => times(1e9, (at) => process(after + 1 + at, argument)),
});

const FLOODS: Readonly<Record<string, FloodCase>> = {
  'what files start': {
    flood: {
      lines: () =>
        ended(
          times(10, (at) =>
            directory('/etc/modules-load.d', [...times(200, (file) => `${at}-${file}.conf`)], STARTS_SIZE),
          ),
        ),
      content: startsOf,
    },
    code: 2,
    says: /engine-limit\n {2}what files start \(\d+ entries of what files start were not followed/,
  },
  findings: {
    flood: { lines: () => ended(directories(20, LINE_FILES, EVIL.length, longPath)), content: () => EVIL },
    options: { hashes: [sha256(EVIL)] },
    // What starts so many files is more than is kept.
    code: 2,
    says: /and [\d,]+ more: lazaret findings --scan.*10,240 malicious/s,
  },
  detections: {
    flood: { lines: () => ended(directories(1, 300, 64)), content: own },
    options: {
      rules: [...times(2_000, (at) => `rule Flood_${at} { condition: true }`)].join('\n'),
    },
    code: 1,
    says: /300 malicious/,
  },
  'places that cannot be listed': {
    flood: {
      lines: () =>
        ended(
          times(40_000, (at) => ({ type: 'fault', path: longPath(at), fault: 'unreadable', detail: 'no' })),
        ),
    },
    code: 2,
    says: /40,000 subjects: unreadable/,
  },
  'files that are too large': {
    flood: { lines: () => ended(directories(150, LINE_FILES, 2 ** 29, longPath)) },
    code: 2,
    says: /76,800 subjects: too-large/,
  },
  'files that are gone, of devices that nobody has': {
    flood: {
      lines: () =>
        ended(
          times(40, (at) =>
            directory(longPath(at), [...times(LINE_FILES, (file) => `f${file}`)], 10, `${at}`),
          ),
        ),
    },
    code: 2,
    says: /20,480 subjects: vanished/,
  },
  'lines that are known': {
    flood: {
      lines: (known) =>
        known.length > 0
          ? ended(
              times(Math.ceil(known.length / 1000), (at) => ({
                type: 'known',
                digests: known.slice(at * 1000, (at + 1) * 1000),
              })),
            )
          : ended(directories(30_000, 1, EVIL.length)),
      content: () => EVIL,
    },
    runs: 2,
    code: 0,
    says: /[\d,]+ unchanged/,
  },
  'processes, each with as many arguments as it may have': {
    flood: withProcesses('y'.repeat(LIMITS.commandLineBytes)),
    code: 2,
    says: /all other processes/,
  },
  'arguments, of which no process may have so many': {
    flood: withProcesses('y'.repeat(900_000)),
    code: 2,
    says: /all other processes/,
  },
  processes: {
    flood: withProcesses('y'),
    code: 2,
    says: /all other processes/,
  },
  'pages without anything': {
    flood: { lines: () => times(1e9, (at) => directory(`/${at}`, [], 0)), pageBytes: 1 },
    code: 2,
    says: /too many pages with next to nothing/,
  },
};

describe.runIf(ready)('a guest that has too much of', { timeout: PATIENCE_MS }, () => {
  it.each(Object.entries(FLOODS))('%s', async (_, { flood, options, code, says, runs = 1 }) => {
    await using scan = await FloodedScan.of(flood, options);
    let ran = { code: -1, stdout: '', stderr: '', peak: 0 } as Ran;
    for (let run = 0; run < runs; run++) {
      ran = await scan.run();
      expect(ran.peak, ran.stderr.slice(-2000)).toBeLessThan(MOST_RESIDENT);
    }
    expect(`${ran.stdout}\n${ran.stderr}`).toMatch(says);
    expect(ran.code).toBe(code);
  });
});
