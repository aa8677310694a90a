/**
 * Rules compiled by `yarac`, kept in the plugin's cache under the digest of their text. Every rule file has a
 * namespace: a secret of this compilation, and the file's place in the list. One more rule, in a namespace of
 * its own, matches every file: a file without that match was not scanned to its end.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PluginError } from 'lazaret/plugin';
import type { ProcessLimits } from './engine.ts';
import { type Programs, run } from './program.ts';
import { END } from './program-output.ts';
import { digestRules, type RuleFile } from './rule-files.ts';
import type { Fault } from './scanner.ts';

export interface CompiledRules {
  readonly path: string;
  readonly secret: string;
}

const COMPILE_DEADLINE_MS = 5 * 60_000;
const CHECKED_AT_ONCE = 2;
const KEPT_MS = 7 * 24 * 60 * 60 * 1000;
const SUFFIX = '.yarc';
const MATCHES_ALL = 'rule scanned { condition: true }';
const MESSAGE = /^error: (?:rule "[^"]*" in )?\S*\((?<line>\d+)\): (?<text>.*)$/m;

export class RuleCompiler {
  private readonly programs: Programs;
  private readonly version: string;
  private readonly limits: ProcessLimits;
  private readonly cache: string;

  constructor(programs: Programs, version: string, limits: ProcessLimits, cache: string) {
    this.programs = programs;
    this.version = version;
    this.limits = limits;
    this.cache = cache;
  }

  /** Files that cannot be used with this program: all at once, and each alone when that fails. */
  async faults(files: readonly RuleFile[]): Promise<ReadonlyMap<RuleFile, Fault>> {
    const faults = new Map<RuleFile, Fault>();
    for (const file of files) {
      const fault = unsuitable(file);
      if (fault !== undefined) faults.set(file, fault);
    }
    const suitable = files.filter((file) => !faults.has(file));
    if (typeof (await this.compile(suitable)) !== 'string') return faults;
    const left = [...suitable];
    const checkRest = async (): Promise<void> => {
      for (let file = left.shift(); file !== undefined; file = left.shift()) {
        const said = await this.compile([file], false);
        if (typeof said === 'string') faults.set(file, faultFrom(said));
      }
    };
    await Promise.all(Array.from({ length: CHECKED_AT_ONCE }, checkRest));
    return faults;
  }

  /** Throws PluginError `engine-failed`. */
  async compiled(files: readonly RuleFile[]): Promise<CompiledRules> {
    const rules = await this.compile(files);
    if (typeof rules !== 'string') return rules;
    throw new PluginError('engine-failed', `yarac does not compile the rules: ${rules}`);
  }

  /** What yarac said, when it failed. */
  private async compile(files: readonly RuleFile[], keep = true): Promise<CompiledRules | string> {
    const digest = digestRules([{ name: this.version, text: MATCHES_ALL }, ...files]);
    await mkdir(this.cache, { recursive: true, mode: 0o700 });
    const known = keep ? await this.find(digest) : undefined;
    if (known !== undefined) return known;
    const secret = randomBytes(16).toString('hex');
    const folder = await mkdtemp(join(this.cache, 'compile-'));
    try {
      const output = join(folder, 'rules');
      const said = await this.runCompiler(files, secret, folder, output);
      if (said !== undefined) return said;
      const path = join(this.cache, `${digest}.${secret}${SUFFIX}`);
      if (keep) await rename(output, path);
      return { path, secret };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  private async runCompiler(
    files: readonly RuleFile[],
    secret: string,
    folder: string,
    output: string,
  ): Promise<string | undefined> {
    const sources = [
      ...files.map(({ text }, place) => [String(place), text] as const),
      [END, MATCHES_ALL] as const,
    ];
    await Promise.all(sources.map(([place, text]) => writeFile(join(folder, `${place}.yar`), text)));
    await writeFile(output, '');
    await chmod(output, 0o666);
    const args = sources.map(([place]) => `${secret}.${place}:${place}.yar`);
    const { status, why, stderr } = await run(this.programs.yarac, this.limits, {
      args: ['-w', ...args, output],
      cwd: folder,
      writes: output,
      deadlineMs: COMPILE_DEADLINE_MS,
    });
    if (status === 0) {
      await chmod(output, 0o600);
      return undefined;
    }
    return why ?? stderr;
  }

  /** Also removes what nobody has used for a while, or crashes left behind. */
  private async find(digest: string): Promise<CompiledRules | undefined> {
    let found: CompiledRules | undefined;
    const now = Date.now();
    for (const name of await readdir(this.cache)) {
      const path = join(this.cache, name);
      if (name.startsWith(`${digest}.`)) {
        found = { path, secret: name.slice(digest.length + 1, -SUFFIX.length) };
        await utimes(path, new Date(now), new Date(now));
      } else if (await isOlder(path, now - KEPT_MS)) await rm(path, { recursive: true, force: true });
    }
    return found;
  }
}

/** False for one that is gone. */
async function isOlder(path: string, than: number): Promise<boolean> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs < than,
    () => false,
  );
}

/** What this program could do only for all files alike, or not as others do. */
function unsuitable({ includes, externals: [external] }: RuleFile): Fault | undefined {
  if (includes) {
    return { message: 'include is not supported: name the included file itself under "rules"' };
  }
  if (external === undefined) return undefined;
  return {
    message: `uses the external variable ${external}, which the yara program takes for all files alike: set "engine" to "native" or "wasm"`,
  };
}

function faultFrom(said: string): Fault {
  const { line, text } = MESSAGE.exec(said)?.groups ?? {};
  if (line === undefined || text === undefined)
    return { message: said.trim().split('\n', 1)[0] || 'does not compile' };
  return { line: Number(line), message: `error: ${text}` };
}
