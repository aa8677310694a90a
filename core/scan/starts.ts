/**
 * What starts malicious content is malicious with it. Within one scan, what detectors said that files start
 * (`Answer.starts`) is joined with the paths of files that were found malicious, whichever was seen first, and
 * through any number of steps: a timer that starts a unit that starts a script that starts malware.
 *
 * A file that is there for other things too (`Start.shared`: a crontab, a .bashrc, a package's own unit) becomes
 * `suspicious` alone: no remediation may act on what is suspicious, so it is not removed as a whole, and a person
 * takes the line out. Nor does it pass anything on to what starts it.
 */
import { posix } from 'node:path';
import type { Detection, Start } from '../api/index.ts';

/** A file that starts something malicious, and what is to be said of it besides what was said before. */
export interface Implicated {
  /** As it was handed to `starting`. */
  readonly path: string;
  readonly detection: Detection;
}

interface Culprit {
  readonly path: string;
  /** What was found there, or at the end of what it starts. */
  readonly name: string;
}

interface Kept {
  readonly by: string;
  readonly start: Start;
}

/** Of all paths that are kept: a stock system needs some thousand, and a guest makes them long and many. */
export const MOST_START_CHARACTERS = 4 * 1024 * 1024;
/** What an entry takes besides its characters, told in characters. */
const OVERHEAD = 300;
/** Of the path of a starting file: as text, as bytes and as the wire has it. */
const TIMES_HELD = 3;
const NAME_LENGTH = 200;

/**
 * One per scan; paths are as for display. The scan calls, in any order,
 *
 *   `starting`   for every file whose answers have `starts`, under each of its paths, whatever its verdict is
 *   `malicious`  for every file whose verdict is malicious, with the name of a detection
 *
 * and judges anew the files that either gives back, with the detection added: one that was judged earlier, even
 * as clean, is then found. What is given back as malicious has been followed to its end already: `malicious` need
 * not be called for it, and may be. Neither throws.
 */
export class Starts {
  /** What was not kept, because there was no room: what it would have led to is not known. */
  cut = 0;
  private readonly byTarget = new Map<string, Kept[]>();
  private readonly culprits = new Map<string, Culprit>();
  private readonly implicated = new Map<string, Detection['judgement']>();
  private room: number;

  constructor(mostCharacters = MOST_START_CHARACTERS) {
    this.room = mostCharacters;
  }

  starting(by: string, starts: readonly Start[]): Implicated[] {
    const found: Implicated[] = [];
    for (const start of starts) {
      const key = keyOfStart(start.path);
      const culprit = this.culprits.get(key);
      const isHeld = culprit !== undefined && this.implicated.has(by);
      if (!isHeld && !this.takes(TIMES_HELD * by.length + key.length)) continue;
      if (culprit) this.implicate({ by, start }, culprit, found);
      else pushTo(this.byTarget, key, { by, start });
    }
    return found;
  }

  malicious(path: string, name: string): Implicated[] {
    const found: Implicated[] = [];
    this.follow({ path, name }, found);
    return found;
  }

  /** A list instead of recursion: a guest makes chains as long as it likes. */
  private follow(first: Culprit, found: Implicated[]): void {
    const open = [first];
    for (let culprit = open.pop(); culprit !== undefined; culprit = open.pop()) {
      for (const key of keysOfFile(culprit.path)) {
        if (this.culprits.has(key)) continue;
        if (this.takes(key.length + culprit.path.length)) this.culprits.set(key, culprit);
        for (const kept of this.byTarget.get(key) ?? []) {
          const starter = this.state(kept, culprit, found);
          if (starter !== undefined) open.push(starter);
        }
        this.byTarget.delete(key);
      }
    }
  }

  private implicate(kept: Kept, culprit: Culprit, found: Implicated[]): void {
    const starter = this.state(kept, culprit, found);
    if (starter !== undefined) this.follow(starter, found);
  }

  /** Says it once of each file, which has its room; gives the starting file where it is malicious with what it starts. */
  private state({ by, start }: Kept, culprit: Culprit, found: Implicated[]): Culprit | undefined {
    const judgement = start.shared ? 'suspicious' : 'malicious';
    const before = this.implicated.get(by);
    const isItself = keysOfFile(by).includes(keyOfStart(start.path));
    if (isItself || before === 'malicious' || before === judgement) return undefined;
    this.implicated.set(by, judgement);
    found.push({ path: by, detection: detectionOf(start, culprit, judgement) });
    return judgement === 'malicious' ? { path: by, name: culprit.name } : undefined;
  }

  private takes(characters: number): boolean {
    const needed = characters + OVERHEAD;
    const fits = needed <= this.room;
    if (fits) this.room -= needed;
    else this.cut += 1;
    return fits;
  }
}

function detectionOf(
  { path, technique, line, shared }: Start,
  { name }: Culprit,
  judgement: Detection['judgement'],
): Detection {
  const at = line === undefined ? 'It starts' : `Line ${line} starts`;
  const left = shared ? '; the file serves other ends too, so that line is for a person to take out' : '';
  return {
    judgement,
    name: `starts ${name}`.slice(0, NAME_LENGTH),
    description: `${at} ${path}, which is malicious: ${name}${left}`,
    attack: [technique],
  };
}

const MERGED = /^\/usr(?=\/(?:bin|sbin|lib|lib32|lib64|libx32)\/)/;
const MODULE = /^\/lib\/modules\/.*\/([^/]+)\.ko(?:\.(?:gz|xz|zst))?$/;

/** `/usr/bin` and `/bin` are one directory on any system of today, and so are their likes. */
const keyOf = (path: string): string => posix.normalize(path).replace(/^\/\//, '/').replace(MERGED, '');

/** A name without a slash is a kernel module's, which no file that loads it names in full. */
const keyOfStart = (path: string): string => (path.includes('/') ? keyOf(path) : `module ${path}`);

function keysOfFile(path: string): string[] {
  const key = keyOf(path);
  const module = MODULE.exec(key)?.[1];
  return module === undefined ? [key] : [key, `module ${module.replaceAll('-', '_')}`];
}

function pushTo<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
