/**
 * What the programs of each guest need, as it was read in an earlier survey, for as long as this process lives. It is
 * known by the file's inode, size and times, as that guest listed them: a guest that lies about them deceives itself
 * alone.
 */
import type { FileEntry } from '../../../protocol/index.ts';
import type { Needs } from './elf.ts';

/** What is kept of one guest; a distribution has some 60,000 characters. */
const CHARACTERS = 256 * 1024;
const GUESTS = 1024;

export interface NeedsOfGuest {
  readonly needs: Map<string, Needs | undefined>;
  characters: number;
}

export class KnownNeeds {
  private readonly guests = new Map<string, NeedsOfGuest>();

  /** Of one guest, to be looked up and added to. */
  of(vm: string): KnownNeedsOfGuest {
    const known = this.guests.get(vm) ?? { needs: new Map(), characters: 0 };
    // The one that was not surveyed for longest is the first to be forgotten.
    this.guests.delete(vm);
    this.guests.set(vm, known);
    const [oldest] = this.guests.keys();
    if (this.guests.size > GUESTS && oldest !== undefined) this.guests.delete(oldest);
    return new KnownNeedsOfGuest(known);
  }
}

export class KnownNeedsOfGuest {
  private readonly known: NeedsOfGuest;

  constructor(known: NeedsOfGuest = { needs: new Map(), characters: 0 }) {
    this.known = known;
  }

  has(key: string): boolean {
    return this.known.needs.has(key);
  }

  /** Undefined also for what is no program. */
  get(key: string): Needs | undefined {
    return this.known.needs.get(key);
  }

  /** Where there is no more room, all is forgotten: updates leave behind what nothing asks for again. */
  keep(key: string, needs: Needs | undefined): void {
    const { interpreter = '', libraries = [], directories = [] } = needs ?? {};
    const characters = [key, interpreter, ...libraries, ...directories].reduce(
      (sum, { length }) => sum + length,
      0,
    );
    if (characters > CHARACTERS) return;
    if (this.known.characters + characters > CHARACTERS) {
      this.known.needs.clear();
      this.known.characters = 0;
    }
    this.known.needs.set(key, needs);
    this.known.characters += characters;
  }
}

/** Stands for one state of one file. */
export const stateKey = (dev: string, [, ino, size, mtime, ctime]: FileEntry): string =>
  [dev, ino, size, mtime, ctime].join(' ');
