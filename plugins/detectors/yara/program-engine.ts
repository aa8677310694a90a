import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Engine, ProcessLimits } from './engine.ts';
import { findPrograms } from './program.ts';
import { ProgramCrew } from './program-crew.ts';
import { RuleCompiler } from './program-rules.ts';

const ASK_MS = 10_000;
/** What the lines are like that `program-output.ts` reads. */
const SUPPORTED = /^4\.\d/;

/**
 * The installed programs `yara` and `yarac`; undefined when they are not there or of another major version.
 * `cache`: a private directory.
 */
export async function programEngine(limits: ProcessLimits, cache: string): Promise<Engine | undefined> {
  const programs = findPrograms();
  if (programs === undefined) return undefined;
  const versions = await Promise.all([programs.yara, programs.yarac].map(versionOf));
  const [version] = versions;
  if (version === undefined || versions[1] !== version || !SUPPORTED.test(version)) return undefined;
  const compiler = new RuleCompiler(programs, version, limits, cache);
  return {
    name: 'program',
    version: `yara ${version}`,
    open: (processes) => {
      const directory = join(cache, `lists-${randomUUID()}`);
      return new ProgramCrew({ program: programs.yara, limits, compiler, directory, processes });
    },
  };
}

async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { env: {}, timeout: ASK_MS });
    return stdout.trim();
  } catch {
    return undefined;
  }
}
