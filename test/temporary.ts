/** Everything that tests leave in the temporary directory lies in one of their own, which is gone with them. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** As the one that it stands for: engines and daemons run as other users, and clamd writes there. */
const EVERYBODYS = 0o1777;

export default function setup(): () => void {
  // A short name: sockets lie below it, and their paths are short.
  const directory = mkdtempSync(join(tmpdir(), 'lz-'));
  chmodSync(directory, EVERYBODYS);
  process.env.TMPDIR = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}
