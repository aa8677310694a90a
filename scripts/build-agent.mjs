#!/usr/bin/env node
/**
 * Builds the agent into one executable, dist/lazaret-agent, that needs only glibc in the guest. Does nothing
 * when that is newer than all that it is made of. Runs on any Node that is still about: it must work before
 * the project's own Node is first on the path.
 */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = join(dirname(fileURLToPath(import.meta.url)), '..');
const bun = join(project, 'node_modules', '@oven', 'bun-linux-x64', 'bin', 'bun');
const executable = join(project, 'dist', 'lazaret-agent');
const unfinished = `${executable}.new`;

/** When something in a folder was last changed. */
function newest(path) {
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  return Math.max(status.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function isCurrent() {
  const sources = ['agent', 'protocol', 'package-lock.json', 'scripts/build-agent.mjs'];
  return (
    existsSync(executable) &&
    sources.every((source) => newest(join(project, source)) < statSync(executable).mtimeMs)
  );
}

function makeExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
  } catch {
    chmodSync(path, 0o755);
  }
}

function build() {
  mkdirSync(dirname(executable), { recursive: true });
  makeExecutable(bun);
  const options = ['--compile', '--minify', '--outfile', unfinished];
  const entry = join(project, 'agent', 'executable.ts');
  const { status, error } = spawnSync(bun, ['build', entry, ...options], { cwd: project, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`bun build ended with ${status}`);
  // A running agent keeps the file that it was started from.
  renameSync(unfinished, executable);
}

if (!existsSync(bun)) {
  console.error(
    `build-agent: ${bun} is missing: it is a development dependency for Linux on x64; run npm ci there`,
  );
  process.exit(1);
} else if (isCurrent()) {
  console.error('build-agent: dist/lazaret-agent is up to date');
} else {
  console.error('build-agent: building dist/lazaret-agent (one executable of about 100 MB; once)');
  build();
}
