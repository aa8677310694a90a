/**
 * What protected programs are linked with, and what that is linked with in turn. A library that is named without a
 * path is taken wherever the loader could find it: in the standard directories, in those of `ld.so.conf`, and in all
 * that any of these programs names (RPATH, RUNPATH). That may be a file more than is loaded, never one less.
 *
 * Directories that others than root can change do not count, nor files there: a library that a user of the guest
 * put where a program would find it is not protected.
 */
import { displayBytes } from '../../../protocol/index.ts';
import { pastBound, SURVEY } from './bounds.ts';
import type { Needs } from './elf.ts';
import { type Directory, type GuestFile, type GuestTree, join, parentOf } from './guest-tree.ts';
import type { Programs } from './programs.ts';

/** A file that is needed, and the program or library for which. */
export interface LinkedFile {
  readonly file: GuestFile;
  readonly by: string;
}

export class LinkedFiles {
  private readonly tree: GuestTree;
  private readonly programs: Programs;
  /** By path, so that each is looked at once. */
  private readonly seen = new Set<string>();
  /** Directories by the path that they come to. */
  private readonly directories = new Map<string, Directory>();
  private readonly asked = new Set<string>();
  /** Names of libraries, each with the first that needs it. */
  private readonly names = new Map<string, string>();

  constructor(tree: GuestTree, programs: Programs) {
    this.tree = tree;
    this.programs = programs;
  }

  /** Besides those that programs name. Rejects with ChannelError, SurveyError. */
  async searchIn(directories: readonly string[]): Promise<void> {
    await this.newDirectories(directories);
  }

  /** All that the files need, without the files themselves. Rejects with ChannelError, SurveyError. */
  async *of(files: readonly GuestFile[]): AsyncGenerator<LinkedFile> {
    let rounds = 0;
    for (let due = this.unseen(files); due.length > 0; ) {
      if (++rounds > SURVEY.rounds) throw pastBound('rounds');
      const found = await this.neededBy(due);
      yield* found;
      due = this.unseen(found.map(({ file }) => file));
    }
  }

  private unseen(files: readonly GuestFile[]): GuestFile[] {
    return files.filter(({ path, isRootsAlone }) => {
      if (!isRootsAlone || this.seen.has(path)) return false;
      this.seen.add(path);
      return true;
    });
  }

  private async neededBy(files: readonly GuestFile[]): Promise<LinkedFile[]> {
    const needs = await Promise.all(files.map((file) => this.programs.needsOf(file)));
    const each = files.flatMap((file, at) => {
      const own = needs[at];
      return own ? [{ file, needs: own, by: displayBytes(Buffer.from(file.path, 'latin1')) }] : [];
    });
    const added = await this.newDirectories(each.flatMap(({ file, needs }) => searchedBy(file, needs)));
    const paths = new Map<string, string>();
    const wanted = (path: string, by: string) => paths.has(path) || paths.set(path, by);
    for (const [name, by] of this.names) for (const path of placesOf(name, added)) wanted(path, by);
    for (const { needs, by } of each) {
      if (needs.interpreter?.startsWith('/')) wanted(needs.interpreter, by);
      for (const name of needs.libraries) for (const path of this.placesOfNew(name, by)) wanted(path, by);
    }
    const found = await Promise.all(
      Array.from(paths, async ([path, by]) => ({ file: await this.tree.file(path), by })),
    );
    return found.filter((one): one is LinkedFile => one.file?.isRootsAlone === true);
  }

  private placesOfNew(name: string, by: string): Iterable<string> {
    if (name.includes('/')) return name.startsWith('/') ? [name] : [];
    if (this.names.has(name)) return [];
    if (this.names.size >= SURVEY.libraries) throw pastBound('libraries');
    this.names.set(name, by);
    return placesOf(name, this.directories.values());
  }

  /** The directories that were not known yet, and can count. */
  private async newDirectories(paths: readonly string[]): Promise<Directory[]> {
    const unasked = paths.filter((path) => !this.asked.has(path));
    for (const path of unasked) this.asked.add(path);
    if (this.asked.size > SURVEY.searched) throw pastBound('searched');
    const found = await Promise.all(unasked.map((path) => this.directoryAt(path)));
    const added = found.filter(
      (directory) => directory?.isRootsAlone && !this.directories.has(directory.path),
    );
    const known = new Map(added.map((directory) => [directory?.path ?? '', directory as Directory]));
    for (const [path, directory] of known) this.directories.set(path, directory);
    return [...known.values()];
  }

  private async directoryAt(path: string): Promise<Directory | undefined> {
    const found = await this.tree.follow(path);
    return found === undefined ? undefined : this.tree.directory(found);
  }
}

/** Where a library of that name is in some directories. */
function* placesOf(name: string, directories: Iterable<Directory>): Generator<string> {
  for (const { path, files, links } of directories) {
    if (files.has(name) || links.has(name)) yield join(path, name);
  }
}

/** Directories that a file names, as the loader reads them (ld.so(8)). */
function searchedBy({ path }: GuestFile, { directories }: Needs): string[] {
  const origin = parentOf(path);
  return directories
    .map((directory) => directory.replace(/\$(ORIGIN|\{ORIGIN\})/g, () => origin))
    .flatMap((directory) =>
      /\$(LIB|\{LIB\})/.test(directory)
        ? ['lib', 'lib64'].map((lib) => directory.replace(/\$(LIB|\{LIB\})/g, lib))
        : [directory],
    )
    .filter((directory) => directory.startsWith('/') && !directory.includes('$'));
}
