/**
 * Learns which files of a guest are protected, before anything is done in it: those of the never-touch list by their
 * inodes, so that one is recognised under any name, and what the programs among them are linked with. It asks for
 * directories and for headers of programs alone, and believes what root alone can have put there: a guest that lies
 * protects something of its own.
 */

import type { GuestSession } from '../../channel/session.ts';
import type { NeverTouch } from '../../control/never-touch.ts';
import {
  LIBRARY_DIRECTORIES,
  PROTECTED_PLACES,
  PROTECTED_TREES,
  type ProtectedPlace,
} from '../../control/protected.ts';
import { pastBound, SURVEY, SurveyError } from './bounds.ts';
import { type GuestFile, GuestTree, guestPath, isPath, join, latin1 } from './guest-tree.ts';
import { KnownNeedsOfGuest } from './known-needs.ts';
import { LinkedFiles } from './linked-files.ts';
import { libraryDirectories } from './loader-settings.ts';
import { Programs } from './programs.ts';

const EXECUTABLE = 0o111;

/** A link, and the name by which its directory is looked at. */
interface Link {
  readonly directory: string;
  readonly as: string;
  readonly name: string;
}

interface Top {
  readonly as: string;
  /** Nobody but root can change the way to it. */
  readonly isTrusted: boolean;
}

export class Survey {
  private readonly session: GuestSession;
  private readonly neverTouch: NeverTouch;
  private readonly tree: GuestTree;
  private readonly programs: Programs;
  private readonly signal: AbortSignal;
  /** Protected programs and libraries of which it is not known yet what they need. */
  private readonly linked: GuestFile[] = [];

  constructor(
    session: GuestSession,
    neverTouch: NeverTouch,
    signal: AbortSignal,
    known = new KnownNeedsOfGuest(),
  ) {
    this.session = session;
    this.neverTouch = neverTouch;
    this.tree = new GuestTree(session, signal);
    this.programs = new Programs(session, known, signal);
    this.signal = signal;
  }

  /** Where it is more than can be known, the list says so from then on. Rejects with ChannelError. */
  async run(): Promise<void> {
    try {
      await Promise.all(PROTECTED_PLACES.map((place) => this.place(place)));
      await this.trees();
      await this.linkedFiles();
    } catch (error) {
      if (!(error instanceof SurveyError)) throw error;
      this.neverTouch.missSome();
    }
  }

  private async place({ path, as }: ProtectedPlace): Promise<void> {
    // Asked for at once: most places are there by their own names.
    const [own, found] = await Promise.all([this.tree.directory(path), this.tree.follow(path)]);
    const directory = (found === undefined ? undefined : await this.tree.directory(found)) ?? own;
    if (!directory) return;
    const isTrusted = found !== undefined && directory.isRootsAlone;
    for (const entry of directory.files.values()) {
      this.observe(as, this.tree.fileOf(directory.path, directory.dev, entry, isTrusted));
    }
    await this.followLinks(
      Array.from(directory.links.keys(), (name) => ({ directory: directory.path, as, name })),
    );
  }

  /** What a link of a protected name leads to is protected. */
  private async followLinks(links: readonly Link[]): Promise<void> {
    await Promise.all(
      links.map(async ({ directory, as, name }) => {
        if (!this.neverTouch.kindAt(Buffer.from(join(as, name), 'latin1'))) return;
        const file = await this.tree.file(join(directory, name));
        if (!file) return;
        const kind = this.observe(as, file, name);
        if (kind) this.neverTouch.protectPath(guestPath(file.path), kind.what);
      }),
    );
  }

  private observe(as: string, file: GuestFile, name = latin1(file.entry[0])) {
    const [, ino, , , , mode] = file.entry;
    const path = join(as, name);
    // A name that is too long to be used is none.
    if (!isPath(path)) return undefined;
    const kind = this.neverTouch.observe(guestPath(path), file.dev, ino);
    if (this.neverTouch.isFull) throw pastBound('inodes');
    const isLoaded = (mode & EXECUTABLE) !== 0 || name.includes('.so');
    if (kind?.isLinked && isLoaded) this.linked.push(file);
    return kind;
  }

  private async trees(): Promise<void> {
    const tops = await this.tops();
    const links: Link[] = [];
    for await (const line of this.tree.below([...tops.keys()])) {
      const directory = latin1(line.path);
      const top = topOf(directory, tops);
      if (!top) continue;
      const isTrusted = top.isTrusted && this.tree.isTrusted(line);
      for (const entry of line.files) {
        this.observe(top.as, this.tree.fileOf(directory, line.dev, entry, isTrusted));
      }
      for (const [name] of line.links ?? []) links.push({ directory, as: top.as, name: latin1(name) });
      if (links.length > SURVEY.names) throw pastBound('names');
    }
    await this.followLinks(links);
  }

  /** Where the trees are. */
  private async tops(): Promise<ReadonlyMap<string, Top>> {
    const tops = new Map<string, Top>();
    const found = await Promise.all(PROTECTED_TREES.map(({ path }) => this.tree.follow(path)));
    for (const [at, { path, as }] of PROTECTED_TREES.entries()) {
      const top = found[at] ?? path;
      if (!tops.has(top)) tops.set(top, { as, isTrusted: found[at] !== undefined });
    }
    return tops;
  }

  private async linkedFiles(): Promise<void> {
    const files = new LinkedFiles(this.tree, this.programs);
    const set = await libraryDirectories(this.tree, this.session, this.signal);
    await files.searchIn([...LIBRARY_DIRECTORIES, ...set]);
    for await (const { file, by } of files.of(this.linked)) {
      const what = `what ${by} needs`;
      this.neverTouch.protect(file.dev, file.entry[1], what);
      this.neverTouch.protectPath(guestPath(file.path), what);
    }
  }
}

/** The tree that a directory belongs to, and the name by which the directory is looked at. */
function topOf(path: string, tops: ReadonlyMap<string, Top>): Top | undefined {
  for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const top = tops.get(at);
    if (top) return { ...top, as: top.as + path.slice(at.length) };
  }
  return undefined;
}
