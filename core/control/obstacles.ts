/** What came of an action, in words for the person who wanted it: what is in the way, and what to do about it. */
import type { Instruction, Obstacle } from '../../protocol/index.ts';
import type { RecordedOutcome } from '../store/records.ts';

interface Told {
  readonly what: string;
  readonly next?: string;
}

const OBSTACLES: Readonly<Record<Obstacle, Told>> = {
  immutable: {
    what: 'it or its directory is immutable or append-only, and the agent may not change that',
    next: 'let the agent have CAP_LINUX_IMMUTABLE, or run chattr -i -a on both in the guest',
  },
  'read-only': {
    what: 'its file system is read-only',
    next: 'remount it in the guest (mount -o remount,rw) or deal with it where it is written from, and scan again',
  },
  'no-space': { what: 'its file system has no space left', next: 'make room in the guest' },
  quota: { what: 'a disk quota of the guest is used up', next: 'raise the quota, or make room in the guest' },
  busy: {
    what: 'the file or its file system is in use',
    next: 'try again; a swap file must be switched off first',
  },
  'not-permitted': {
    what: 'the guest does not permit it to the agent',
    next: 'look at attributes (lsattr), mount options, and what a security module such as SELinux denies the agent',
  },
  'io-error': { what: 'its disk gave an error', next: 'look at the kernel log of the guest' },
  'name-too-long': { what: 'its name is too long for its file system', next: 'choose another' },
  'parent-gone': { what: 'its directory is not there', next: 'make the directory' },
  'parent-link': {
    what: 'a symbolic link is on the way to it, and the agent follows none',
    next: 'name the directory that the link leads to',
  },
  'parent-no-directory': { what: 'what should be its directory is none', next: 'look at what stands there' },
};

/** Where the kernel had no word in it. */
const CODES: Readonly<Partial<Record<RecordedOutcome['code'], Told>>> = {
  occupied: { what: 'something stands there already', next: 'move that away first' },
};

/** What helps with any restoring, whatever is in the way at that place. */
const ELSEWHERE = 'put the file elsewhere with lazaret quarantine restore ID --to PATH';
const OF_PLACE: ReadonlySet<string> = new Set<string>([
  ...(['occupied', 'read-only', 'no-space', 'quota', 'not-permitted', 'immutable'] as const),
  ...(['parent-gone', 'parent-link', 'parent-no-directory', 'name-too-long'] as const),
]);

/** `failed: its file system is read-only (EROFS): remount it…`, for anything else than `done`. */
export function explain(name: Instruction['name'], { code, obstacle, detail }: RecordedOutcome): string {
  const told = obstacle ? OBSTACLES[obstacle] : CODES[code];
  const because = detail === undefined || detail === told?.what ? '' : ` (${detail})`;
  if (!told) return code + because;
  const place = name === 'restore:file' && OF_PLACE.has(obstacle ?? code) ? ELSEWHERE : undefined;
  const next = [told.next, place].filter((one) => one !== undefined).join(', or ');
  return `${code}: ${told.what}${because}${next === '' ? '' : `; ${next}`}`;
}

export const obstacleWords = (obstacle: Obstacle): string => OBSTACLES[obstacle].what;
