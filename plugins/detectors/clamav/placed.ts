/**
 * Files of ours among clamd's databases: those of packs, and a canary. The canary is a signature of a content
 * that nothing else has; its name tells what state of the directory clamd had before it when it loaded the
 * canary. That is the only way to know that clamd has loaded a file: RELOAD is answered before it happens.
 *
 * All are named after their content and put in place whole. One that would keep clamd from loading is dangerous
 * beyond us, for clamd does not start with it: whoever places files watches for the canary and takes them back.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { SignatureFile } from 'lazaret/plugin';

const PREFIX = 'lazaret-';
export const CANARY_FILE = `${PREFIX}canary.hdb`;
export const CANARY = Buffer.from('A canary of Lazaret: which databases has this clamd loaded?\n');
const CANARY_NAME = 'Lazaret.Canary.';
const READABLE = 0o644;

/** The directories that files were placed in, with what each user of them in this process wants to be there. */
const wanted = new Map<string, Map<symbol, ReadonlySet<string>>>();

export class PlacedFiles {
  private readonly directory: string;
  private readonly owner = Symbol('placed files');

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Puts the files in place and removes those that nobody wants any more. True when something changed. */
  async place(files: readonly SignatureFile[]): Promise<boolean> {
    const contents = await Promise.all(
      files.map(async (file) => [nameOf(file), await readFile(file.path)] as const),
    );
    const names = new Map(contents.map(([name, content]) => [name(content), content]));
    const users = wanted.get(this.directory) ?? new Map<symbol, ReadonlySet<string>>();
    wanted.set(this.directory, users.set(this.owner, new Set(names.keys())));
    let changed = false;
    for (const [name, content] of names) changed = (await this.put(name, content)) || changed;
    return (await this.tidy()) || changed;
  }

  /**
   * Removes what only this user wanted. Without another user in this process all stays, for the next process
   * to find: clamd need not reload between two commands. The other user sees the change and has clamd reload.
   */
  async leave(): Promise<void> {
    const users = wanted.get(this.directory);
    users?.delete(this.owner);
    if (users !== undefined && users.size > 0) await this.tidy();
    else wanted.delete(this.directory);
  }

  /** Removes what only this user wanted, whoever else there is. */
  async takeBack(): Promise<void> {
    wanted.get(this.directory)?.set(this.owner, new Set());
    await this.tidy();
  }

  /** True when it was not there yet. */
  putCanary(state: string): Promise<boolean> {
    const sum = createHash('md5').update(CANARY).digest('hex');
    return this.put(CANARY_FILE, Buffer.from(`${sum}:${CANARY.length}:${canaryName(state)}\n`));
  }

  private async put(name: string, content: Buffer): Promise<boolean> {
    const path = join(this.directory, name);
    const present = await readFile(path).catch(() => undefined);
    if (present?.equals(content)) return false;
    const temporary = `${path}.${process.pid}.new`;
    await writeFile(temporary, content, { mode: READABLE });
    await rename(temporary, path);
    return true;
  }

  private async tidy(): Promise<boolean> {
    const keep = new Set([CANARY_FILE]);
    for (const names of wanted.get(this.directory)?.values() ?? []) for (const name of names) keep.add(name);
    const names = await readdir(this.directory);
    const stray = names.filter((name) => name.startsWith(PREFIX) && !keep.has(name));
    for (const name of stray) await rm(join(this.directory, name), { force: true });
    return stray.length > 0;
  }
}

export const canaryName = (state: string): string => `${CANARY_NAME}${state.slice(0, 32)}`;

const nameOf =
  ({ path }: SignatureFile) =>
  (content: Buffer): string =>
    `${PREFIX}${createHash('sha256').update(content).digest('hex').slice(0, 32)}${extname(path).toLowerCase()}`;
