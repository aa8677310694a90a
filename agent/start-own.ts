/** Starts a process of the agent's own: the same program, in another part. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { OWN_PARTS, type OwnPart } from './own-part.ts';

/** `script` is what begins it where the agent is no executable of its own. */
export function startOwn(part: OwnPart, script: string, stdio: StdioOptions): ChildProcess {
  const isOneFile = import.meta.url.includes('$bunfs');
  // Whatever lies by now where this program was started from, its parts are of the same program.
  const program = isOneFile ? '/proc/self/exe' : process.execPath;
  const args = isOneFile ? [OWN_PARTS[part]] : ['--disable-warning=ExperimentalWarning', script];
  const child = spawn(program, args, { argv0: isOneFile ? 'lazaret-agent' : process.execPath, stdio });
  child.unref();
  return child;
}
