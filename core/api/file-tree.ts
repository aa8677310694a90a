/**
 * Trees of files that an operator names: rules, lists, what a pack is made of. They are trusted, and still they hold
 * what trees hold: links that lead nowhere or back to where they stand, the same directory under three names,
 * FIFOs, and sometimes the whole of `/`, by a slip. Each file counts once (by device and inode), under its own name
 * rather than a link's where it has one in the tree; a walk is bounded, and ends when it is asked to.
 */
import { type BigIntStats, constants } from 'node:fs';
import { lstat, open, opendir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { SignatureProblem } from './detector.ts';
import { PluginError } from './error.ts';

export const TREE_BOUNDS = {
  /** Names in all directories together: a tree with more is not one of rules alone. */
  entries: 100_000,
  /** Directories in each other. */
  depth: 64,
  /** Problems that are named one by one; the rest is counted. */
  problems: 100,
} as const;

export interface TreeFile {
  readonly path: string;
  /** Relative to the top of the tree. */
  readonly name: string;
}

export interface FileTree {
  /** In the order of their names. */
  readonly files: readonly TreeFile[];
  /** Links that lead nowhere or in a circle, and directories that could not be read. */
  readonly problems: readonly SignatureProblem[];
}

export interface TreeRequest {
  /** Whether a file of this name counts; its content is not looked at. */
  wants(name: string): boolean;
  /** Default: links are followed, within the tree and out of it. */
  readonly links?: 'follow' | 'refuse';
  readonly signal?: AbortSignal | undefined;
}

/** The wanted files below a directory. Throws PluginError `bad-signatures` past the bounds, or the signal's reason. */
export async function walkFiles(top: string, request: TreeRequest): Promise<FileTree> {
  const walk = new TreeWalk(top, request);
  await walk.run();
  return walk.result();
}

/**
 * A regular file's whole content. Opened without waiting, so that a FIFO holds no reader up, and looked at through its
 * descriptor. Throws PluginError `bad-signatures`, in which `what` names the file's purpose.
 */
export async function readRegularFile(file: string, most: number, what: string): Promise<Buffer> {
  const refused = (why: string, cause?: unknown): PluginError =>
    new PluginError('bad-signatures', `cannot read the ${what} ${file}: ${why}`, { cause });
  try {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile()) throw refused('it is no regular file: name one');
    if (facts.size > most) throw refused(`it has more than ${most} bytes: split it`);
    return await handle.readFile();
  } catch (cause) {
    if (cause instanceof PluginError) throw cause;
    throw refused((cause as Error).message, cause);
  }
}

/** A directory to be listed; `above` are those that it lies in, itself included, by inode. */
interface Place {
  readonly name: string;
  readonly above: ReadonlySet<string>;
}

/** Links wait until all else is known, so that a file is found under its own name first. */
interface Link {
  readonly name: string;
  readonly from: Place;
}

class TreeWalk {
  private readonly top: string;
  private readonly request: TreeRequest;
  private readonly seen = new Set<string>();
  private readonly places: Place[] = [];
  private readonly links: Link[] = [];
  private readonly files: TreeFile[] = [];
  private readonly problems: SignatureProblem[] = [];
  private unnamedProblems = 0;
  private entries = 0;

  constructor(top: string, request: TreeRequest) {
    this.top = top;
    this.request = request;
  }

  async run(): Promise<void> {
    this.enter('', await stat(this.top, { bigint: true }), new Set());
    await this.listAll();
    // What a link leads to may have links of its own, which are looked at behind it.
    for (const link of this.links) {
      await this.follow(link);
      await this.listAll();
    }
  }

  result(): FileTree {
    const files = this.files.sort((one, other) => (one.name < other.name ? -1 : 1));
    const problems = this.problems.sort((one, other) => (one.file < other.file ? -1 : 1));
    if (this.unnamedProblems === 0) return { files, problems };
    const message = `and ${this.unnamedProblems} more such places`;
    return { files, problems: [...problems, { file: this.top, message }] };
  }

  private async listAll(): Promise<void> {
    for (let place = this.places.pop(); place; place = this.places.pop()) await this.list(place);
  }

  private async list(place: Place): Promise<void> {
    this.request.signal?.throwIfAborted();
    try {
      for await (const entry of await opendir(path.join(this.top, place.name))) {
        this.count();
        const name = path.join(place.name, entry.name);
        if (entry.isSymbolicLink()) this.links.push({ name, from: place });
        else if (entry.isDirectory() || this.request.wants(name)) await this.take(name, place);
      }
    } catch (cause) {
      this.request.signal?.throwIfAborted();
      if (cause instanceof PluginError) throw cause;
      this.problem(place.name, `cannot be read: ${(cause as Error).message}`);
    }
  }

  private async take(name: string, from: Place): Promise<void> {
    const facts = await lstat(path.join(this.top, name), { bigint: true }).catch((cause: Error) => {
      this.problem(name, `cannot be looked at: ${cause.message}`);
    });
    if (!facts) return;
    if (facts.isDirectory()) this.enter(name, facts, from.above);
    else if (!facts.isFile()) this.problem(name, NO_FILE);
    else if (this.isNew(facts)) this.files.push({ path: path.join(this.top, name), name });
  }

  private async follow({ name, from }: Link): Promise<void> {
    const place = path.join(this.top, name);
    if (this.request.links === 'refuse') {
      this.problem(name, 'is a symbolic link: put what it leads to in its place');
      return;
    }
    const facts = await stat(place, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
      this.problem(name, `${WHY_BROKEN[cause.code ?? ''] ?? cause.message}: mend it or remove it`);
    });
    if (!facts) return;
    if (facts.isDirectory() && from.above.has(identityOf(facts))) {
      this.problem(name, 'is a link to a directory that it lies in: remove it');
    } else if (facts.isDirectory()) this.enter(name, facts, from.above);
    else if (!this.request.wants(name)) return;
    else if (!facts.isFile()) this.problem(name, NO_FILE);
    else if (this.isNew(facts)) this.files.push({ path: place, name });
  }

  /** A directory that was listed under another name is not listed again. */
  private enter(name: string, facts: BigIntStats, above: ReadonlySet<string>): void {
    if (!this.isNew(facts)) return;
    if (above.size >= TREE_BOUNDS.depth) throw this.tooMuch(`${TREE_BOUNDS.depth} directories in each other`);
    this.places.push({ name, above: new Set([...above, identityOf(facts)]) });
  }

  private isNew(facts: BigIntStats): boolean {
    const identity = identityOf(facts);
    if (this.seen.has(identity)) return false;
    this.seen.add(identity);
    return true;
  }

  private count(): void {
    this.entries += 1;
    if (this.entries > TREE_BOUNDS.entries) throw this.tooMuch(`${TREE_BOUNDS.entries} names`);
    this.request.signal?.throwIfAborted();
  }

  private problem(name: string, message: string): void {
    if (this.problems.length === TREE_BOUNDS.problems) this.unnamedProblems += 1;
    else this.problems.push({ file: path.join(this.top, name), message });
  }

  private tooMuch(what: string): PluginError {
    return new PluginError(
      'bad-signatures',
      `${this.top} has more than ${what}: name the directory that holds what is meant and little else`,
    );
  }
}

const NO_FILE = 'is no regular file: put one in its place, or remove it';

const WHY_BROKEN: Readonly<Record<string, string>> = {
  ENOENT: 'is a link that leads nowhere',
  ENOTDIR: 'is a link that leads nowhere',
  ELOOP: 'is a link that leads in a circle',
  EACCES: 'is a link that leads where this user may not read',
};

const identityOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;
