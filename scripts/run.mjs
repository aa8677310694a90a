#!/usr/bin/env node
/**
 * Makes a checkout ready, then runs a job in it: `npm run demo`, `npm test` and the others come through here,
 * so that each of them works by itself in a fresh clone. Dependencies are installed, sources compiled and the
 * agent packed when they are missing or out of date, not at every run. Plain JavaScript for the Node of the
 * system (20 or newer): the jobs themselves run under the Node 26 that comes with the dependencies.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'node_modules', '.bin');
const node = join(bin, 'node');
const sources = [
  ...['protocol', 'core', 'plugins', 'testkit', 'agent', 'demo', 'bench', 'packaging', 'test'],
  'tsconfig.json',
];
const agentSources = ['protocol', 'agent', 'scripts/build-agent.mjs', 'package-lock.json'];

/** What a job needs made ready before it, and what it then runs. */
const jobs = {
  demo: {
    needs: [install, compile, packAgent],
    run: (args) => program('dist/core/main.js', 'demo', ...args),
  },
  bench: { needs: [install, compile], run: (args) => program('dist/bench/main.js', ...args) },
  test: { needs: [install, compile, packAgent], run: test },
  check: { needs: [install, compile, packAgent], run: check },
  lint: { needs: [install], run: lint },
  build: { needs: [install, compile], run: async () => 0 },
  package: {
    needs: [install, compile, packAgent],
    run: (args) => program('dist/packaging/main.js', ...args),
  },
  'build:agent': { needs: [install, packAgent], run: async () => 0 },
};

/** Ends the run with a message for a person. */
class Unready extends Error {}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Unready)) throw error;
  process.stderr.write(`lazaret: ${error.message}\n`);
  process.exitCode = 1;
}

async function main([name, ...args]) {
  const job = Object.hasOwn(jobs, name ?? '') ? jobs[name] : undefined;
  if (!job) throw new Unready(`no such job; there are: ${Object.keys(jobs).join(', ')}`);
  checkPlatform();
  for (const makeReady of job.needs) await makeReady();
  return job.run(args);
}

function checkPlatform() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Unready(
      `this checkout builds and runs on Linux x64 only, and this is ${process.platform} ${process.arch}: ` +
        'the Node 26 and the Bun that it brings are built for that. Use a Linux x64 machine, container or VM.',
    );
  }
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) throw new Unready(`needs Node 20 or newer to begin with, and this is ${process.version}`);
}

// ---- making ready

async function install() {
  if (isInstalled()) return;
  say('installing the dependencies (npm ci)');
  const status = await run('npm', ['ci', '--no-audit', '--no-fund'], { PATH: systemPath() });
  if (status !== 0) {
    throw new Unready(
      `npm ci failed (${status}); its message is above. It needs npm, a package registry that can be reached ` +
        '(npm config get registry) and write access to this folder.',
    );
  }
}

/** Whether npm's own record of node_modules, written last, agrees with the lock file. */
function isInstalled() {
  const record = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(record) || !existsSync(node)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(locked).every(([path, wanted]) => {
    if (path === '') return true;
    const found = installed[path];
    return found ? found.integrity === wanted.integrity : wanted.optional === true;
  });
}

/** The stamp gets the time before the work, so that what changes meanwhile is not missed. */
async function compile() {
  const stamp = join(root, 'dist', '.compiled');
  if (isNewerThan(stamp, sources)) return;
  say('compiling (tsc)');
  const begun = new Date();
  rmSync(stamp, { force: true });
  const status = await run(node, [join(bin, 'tsc')]);
  if (status !== 0) throw new Unready(`that failed (${status}); the message is above`);
  writeFileSync(stamp, '');
  utimesSync(stamp, begun, begun);
}

async function packAgent() {
  if (isNewerThan(join(root, 'dist', 'lazaret-agent'), agentSources)) return;
  say('packing the agent into one file');
  const status = await run(node, ['scripts/build-agent.mjs']);
  if (status !== 0) throw new Unready(`that failed (${status}); the message is above`);
}

/** Whether a file is newer than all files and folders (a removed file changes its folder) below `paths`. */
function isNewerThan(file, paths) {
  if (!existsSync(file)) return false;
  const made = statSync(file).mtimeMs;
  const isOlder = (path) => {
    const entry = statSync(path, { throwIfNoEntry: false });
    if (!entry) return true;
    if (entry.mtimeMs >= made) return false;
    return !entry.isDirectory() || readdirSync(path).every((name) => isOlder(join(path, name)));
  };
  return paths.every((path) => isOlder(join(root, path)));
}

// ---- jobs

function program(file, ...args) {
  return run(node, [join(root, file), ...args]);
}

/** Vitest's cache of transformed modules does not notice a changed tsconfig: it stays off. */
function test(args) {
  return run(node, [join(bin, 'vitest'), 'run', '--fsModuleCache=false', ...args]);
}

/** Types, lint and format. */
async function lint() {
  const types = await run(node, [join(bin, 'tsc'), '--noEmit']);
  const rest = await run(node, [join(bin, 'biome'), 'check', '.']);
  return types || rest;
}

/** All that a reviewer would ask for: lint, then import rules and tests. */
async function check(args) {
  return (await lint()) || (await test(args));
}

// ---- running

function say(what) {
  process.stderr.write(`lazaret: ${what} …\n`);
}

/** npm runs this with node_modules/.bin first in PATH; npm itself must not run on a Node that it replaces. */
function systemPath() {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.filter((directory) => !directory.endsWith('/node_modules/.bin')).join(delimiter);
}

/** Runs to the end and gives the exit status, 128 + n for a signal. Signals reach the child, which decides. */
function run(command, args, environment = { PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, ...environment },
    });
    // Ctrl-C goes to the whole group from the terminal; only what is sent to us alone is passed on.
    const ignore = () => undefined;
    const passOn = (signal) => child.kill(signal);
    process.on('SIGINT', ignore).on('SIGTERM', passOn).on('SIGHUP', passOn);
    child.once('error', (cause) => reject(new Unready(`cannot start ${command}: ${cause.message}`)));
    child.once('exit', (code, signal) => {
      process.off('SIGINT', ignore).off('SIGTERM', passOn).off('SIGHUP', passOn);
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}
