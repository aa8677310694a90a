/**
 * What is known from earlier scans and from others under way, for all scans of this process. What scans learn
 * is gathered in memory and written down every second or so, in one transaction: often enough for a scan that
 * was cut off to go on where it was, seldom enough for the disk to cost next to nothing.
 */
import { randomInt } from 'node:crypto';
import { type Features, LIMITS } from '../../protocol/index.ts';
import type { ContentSummary } from '../api/index.ts';
import type { Settings } from '../config/index.ts';
import { isUnwritten } from '../error.ts';
import type { StateDatabase } from '../store/database.ts';
import { type KnownContent, KnownContentStore } from '../store/known-contents.ts';
import { type KnownLine, KnownLineStore } from '../store/known-lines.ts';
import { add, type CleanAnswers, HeldAnswers, SharedAnswers } from './answers.ts';
import { FirstScans } from './first-scans.ts';
import { KnownGuest, type KnownGuestOptions } from './known-guest.ts';
import { Steadiness } from './steadiness.ts';
import { KnownNeeds } from './survey/known-needs.ts';

export type KnownContentPolicy = Settings['policy']['knownContent'];

/** What is gathered before it is written down, whichever comes first. */
const UNSAVED_CONTENTS = 2_000;
const UNSAVED_LINES = 2_000;
const UNSAVED_MS = 1_000;
/** Files of guests that are remembered for each content: most contents have several names and many guests. */
const FILES_PER_CONTENT = 10;

/** What one scan may believe. */
export interface ScanKnowledge {
  readonly clean: CleanAnswers;
  readonly shared: SharedAnswers;
  readonly guest: KnownGuest;
  readonly firstScans: FirstScans;
}

export interface KnownOptions {
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** From 0 to below 1; nobody can foresee it. */
  readonly random?: () => number;
  /** Lines of all guests that are scanned at a time, in memory: of what is not told, the guest sends all. */
  readonly mostLines?: number;
}

export class Known {
  /** Of the programs of guests. */
  readonly needs = new KnownNeeds();
  private readonly shared = new SharedAnswers();
  private readonly held = new HeldAnswers();
  private readonly firstScans = new FirstScans();
  private readonly mostLines: number;
  private readonly scanned = new Set<KnownGuest>();
  private readonly policy: KnownContentPolicy;
  private readonly notes: Notes | undefined;
  private readonly clock: () => number;
  private readonly random: () => number;

  constructor(database: StateDatabase, policy: KnownContentPolicy, options: KnownOptions = {}) {
    const { clock = Date.now, random = unforeseeable, mostLines = LIMITS.knownLines } = options;
    this.mostLines = mostLines;
    this.policy = policy;
    this.clock = clock;
    this.random = random;
    this.notes = policy.remember ? new Notes(database, policy.maxContents, clock) : undefined;
  }

  /** Known lines that scans under way hold. */
  get linesHeld(): number {
    return this.scanned.values().reduce((sum, guest) => sum + guest.linesHeld, 0);
  }

  /** `isFresh`: nothing kept is believed; what the scan learns is kept all the same. */
  forScan(vm: string, features: Features, generation: Buffer, isFresh: boolean): ScanKnowledge {
    const { policy, random, firstScans } = this;
    const steadiness = new Steadiness(features, policy.settleTime);
    const options = { vm, generation, steadiness, random, policy, isFresh, now: this.clock() };
    const { guest, notes }: GuestWithNotes = this.guestOf({
      ...options,
      mostLines: Math.max(0, this.mostLines - this.linesHeld),
      onEnd: () => this.scanned.delete(guest),
    });
    this.scanned.add(guest);
    const clean = notes ?? this.held;
    if (!isFresh) return { clean, shared: this.shared, guest, firstScans };
    return { clean: new HeldAnswers(clean), shared: new SharedAnswers(), guest, firstScans };
  }

  /** On a disk that takes no writes nothing is known, and everything is looked at. */
  private guestOf(options: KnownGuestOptions): GuestWithNotes {
    try {
      return { guest: new KnownGuest(this.notes, options), notes: this.notes };
    } catch (error) {
      if (!isUnwritten(error)) throw error;
      return { guest: new KnownGuest(undefined, options), notes: undefined };
    }
  }
}

interface GuestWithNotes {
  readonly guest: KnownGuest;
  readonly notes: Notes | undefined;
}

/** The stores, and what was not written to them yet. */
export class Notes implements CleanAnswers {
  readonly lines: KnownLineStore;
  private readonly contents: KnownContentStore;
  private readonly database: StateDatabase;
  private readonly unsaved = new Map<string, KnownContent>();
  private unsavedLines: { guest: number; line: KnownLine }[] = [];
  private savedAt = performance.now();

  constructor(database: StateDatabase, maxContents: number, clock: () => number) {
    this.database = database;
    this.contents = new KnownContentStore(database, maxContents, clock);
    this.lines = new KnownLineStore(database, maxContents * FILES_PER_CONTENT);
  }

  /** Throws StoreError. */
  get isEmpty(): boolean {
    return this.unsaved.size === 0 && this.contents.isEmpty;
  }

  /** Throws StoreError. */
  find(sha256s: readonly string[]): ReadonlyMap<string, KnownContent> {
    const found = this.contents.find(sha256s);
    for (const sha256 of sha256s) {
      const unsaved = this.unsaved.get(sha256);
      if (!unsaved) continue;
      const answers = unsaved.answers.union(found.get(sha256)?.answers ?? new Set<string>());
      found.set(sha256, { ...unsaved, answers });
    }
    return found;
  }

  keep(content: ContentSummary, answers: readonly string[]): void {
    add(this.unsaved, content, answers);
  }

  /** Throws StoreError. */
  keepLine(guest: number, line: KnownLine): void {
    this.unsavedLines.push({ guest, line });
    // A guest of which nothing is fetched has no other moment at which it is looked whether it is much.
    if (this.unsavedLines.length >= UNSAVED_LINES) this.save();
  }

  /** Removes all lines of a guest. Throws StoreError. */
  forget(guest: number): void {
    this.unsavedLines = this.unsavedLines.filter((unsaved) => unsaved.guest !== guest);
    this.lines.forget(guest);
  }

  /** Writes down what was gathered if it is much or old. Throws StoreError. */
  saveInTime(): void {
    const isMuch = this.unsaved.size >= UNSAVED_CONTENTS || this.unsavedLines.length >= UNSAVED_LINES;
    if (isMuch || performance.now() - this.savedAt > UNSAVED_MS) this.save();
  }

  /** On a disk that takes no writes, what was gathered is let go: it is looked at once more. Throws StoreError. */
  save(): void {
    this.savedAt = performance.now();
    if (this.unsaved.size === 0 && this.unsavedLines.length === 0) return;
    try {
      this.database.transaction(() => {
        this.contents.save(this.unsaved.values());
        this.lines.save(this.unsavedLines);
      });
    } catch (error) {
      if (!isUnwritten(error)) throw error;
    }
    this.unsaved.clear();
    this.unsavedLines = [];
  }
}

const UNFORESEEABLE_STEPS = 2 ** 47;
const unforeseeable = (): number => randomInt(UNFORESEEABLE_STEPS) / UNFORESEEABLE_STEPS;
