/**
 * Starts programs with the least rights that this host can give them, for plugins that have engines in processes
 * of their own: what such a process parses came from a guest, and one that is taken over should find nothing to
 * do. The tools are those of util-linux, and bubblewrap where it is there, wrapped around each other:
 *
 *   nice       gives way to all else
 *   unshare    namespaces: no network, no IPC, its own hostname and processes (a fork ends with it)
 *   bwrap      the same for who is not root, and all files read-only
 *   prlimit    no content written to files, no core, few descriptors; few processes for a user of its own
 *   setpriv    for root a user that nobody else is, else no capabilities; no new ones; ends with its starter
 *
 * A user of its own may read what it is asked to scan by the one capability that it keeps: CAP_DAC_READ_SEARCH
 * reads any file and changes none, and nothing that it reads can leave. What a host cannot do (no user
 * namespaces, a container without capabilities) is left out and named.
 */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

export interface Confinement {
  /** What holds for a confined process, in a few words each. */
  readonly measures: readonly string[];
  /** What this host cannot do. */
  readonly lacking: readonly string[];
  /**
   * The command line that runs the program confined. Killing what it starts ends all of it. `writes`: the one
   * file that it has to write; it is there already, and anybody may write it.
   */
  around(command: Command, writes?: string): Command;
}

/** A program that starts another, with its arguments, and what that takes away from the other. */
interface Way {
  readonly measures: readonly string[];
  readonly wrap: (writes?: string) => readonly string[];
}

const PRIORITY = 'low priority';
const ALONE = 'no network and no processes but its own';
const UNCHANGING = 'all files read-only';
const BOUNDED = 'no content written';
const POWERLESS = 'no capabilities but to read';
const WANTED = [PRIORITY, ALONE, UNCHANGING, BOUNDED, POWERLESS];

const PLACES = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const PROBE_MS = 5_000;
/** Beyond those of systemd, containers and people. */
const OWN_USERS = { from: 1_900_000_000, to: 2_000_000_000 };
const NOBODY = 65_534;
const LIMITS = ['--core=0', '--nofile=256'];
const SPACES = ['--net', '--ipc', '--uts', '--pid', '--fork', '--kill-child=SIGKILL'];
const AS_MYSELF = ['--user', '--map-current-user'];
/** All that bwrap knows but cgroups', which takes nothing away here and which the service's unit does not let pass. */
const OWN_SPACES = ['user', 'net', 'ipc', 'uts', 'pid'].map((space) => `--unshare-${space}`);
/** The spool may lie in /dev/shm, which a new /dev would hide. */
const READ_ONLY = ['--ro-bind', '/', '/', '--dev', '/dev', '--ro-bind-try', '/dev/shm', '/dev/shm'];
/** Changing the user clears the signal that unshare asked for, so setpriv asks again. */
const LAST = ['--no-new-privs', '--pdeathsig=KILL'];

const way = (measures: readonly string[], ...args: string[]): Way => ({ measures, wrap: () => args });
/** Processes are counted by user, so they are limited only where that user has no others. */
const readingAs = (user: () => number, ...limit: readonly string[]): Way => ({
  measures: [UNCHANGING, POWERLESS],
  wrap: () => {
    const sets = ['--inh-caps', '--ambient-caps', '--bounding-set'];
    const id = user();
    const only = sets.map((set) => `${set}=-all,+dac_read_search`);
    return [
      'setpriv',
      `--reuid=${id}`,
      `--regid=${id}`,
      '--clear-groups',
      ...only,
      ...LAST,
      ...located(limit),
    ];
  },
});

const UNSHARE = [
  way([ALONE], 'unshare', ...SPACES, '--mount-proc'),
  way([ALONE], 'unshare', ...AS_MYSELF, ...SPACES, '--mount-proc'),
  way([ALONE], 'unshare', ...AS_MYSELF, ...SPACES),
];
const BWRAP: Way = {
  measures: [ALONE, UNCHANGING],
  wrap: (writes) => {
    const writable = writes === undefined ? [] : ['--bind', writes, writes];
    const alone = ['--proc', '/proc', ...OWN_SPACES, '--die-with-parent', '--new-session'];
    return ['bwrap', ...READ_ONLY, ...writable, ...alone];
  },
};
const PRLIMIT: Way = {
  measures: [BOUNDED],
  wrap: (writes) => ['prlimit', ...LIMITS, ...(writes === undefined ? ['--fsize=0'] : [])],
};
const SAME_USER = [
  way([POWERLESS], 'setpriv', '--inh-caps=-all', '--bounding-set=-all', ...LAST),
  way([POWERLESS], 'setpriv', '--inh-caps=-all', ...LAST),
];

/** From the outside in; of each step the first way that works here is used. */
const stepsFor = (root: boolean): readonly (readonly Way[])[] => [
  [way([PRIORITY], 'nice', '-n', '5')],
  root ? UNSHARE : [BWRAP, ...UNSHARE],
  [PRLIMIT],
  root
    ? [
        readingAs(() => randomInt(OWN_USERS.from, OWN_USERS.to), 'prlimit', '--nproc=64'),
        readingAs(() => NOBODY),
        ...SAME_USER,
      ]
    : SAME_USER,
];

let probed: Promise<Confinement> | undefined;

/** What this host can do, tried out once for the whole process with a program that reads a private file. */
export function confinement(): Promise<Confinement> {
  probed ??= probe();
  return probed;
}

async function probe(): Promise<Confinement> {
  const directory = mkdtempSync(join(tmpdir(), 'lazaret-confine-'));
  const file = join(directory, 'private');
  writeFileSync(file, 'readable', { mode: 0o600 });
  try {
    return await trySteps(async (ways) => {
      const { program, args } = wrapped(ways, { program: 'cat', args: [file] });
      return (await outputOf(program, args)) === 'readable';
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function trySteps(works: (ways: readonly Way[]) => Promise<boolean>): Promise<Confinement> {
  const taken: Way[] = [];
  for (const ways of stepsFor(process.getuid?.() === 0)) {
    for (const way of ways) {
      if (!(await works([...taken, way]))) continue;
      taken.push(way);
      break;
    }
  }
  const measures = new Set(taken.flatMap(({ measures }) => measures));
  return {
    measures: WANTED.filter((measure) => measures.has(measure)),
    lacking: WANTED.filter((measure) => !measures.has(measure)),
    around: (command, writes) => wrapped(taken, command, writes),
  };
}

function wrapped(ways: readonly Way[], { program, args }: Command, writes?: string): Command {
  const wraps = ways.flatMap(({ wrap }) => located(wrap(writes)));
  const [first = program, ...rest] = [...wraps, ...located([program]), ...args];
  return { program: first, args: rest };
}

/** A program's name becomes its path, since confined processes have no PATH; an absolute path stays. */
function located([name, ...args]: readonly string[]): string[] {
  if (name === undefined) return [];
  const found = PLACES.map((place) => join(place, name)).find((path) => existsSync(path));
  return [name.startsWith('/') ? name : (found ?? name), ...args];
}

async function outputOf(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const options = { cwd: '/', env: {}, timeout: PROBE_MS, killSignal: 'SIGKILL' } as const;
    return (await promisify(execFile)(program, [...args], options)).stdout;
  } catch {
    return undefined;
  }
}
