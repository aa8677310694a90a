import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { setPriority } from 'node:os';
import { extname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Engine, Runner, RunnerEvents } from './engine.ts';
import { Lines } from './lines.ts';
import type { Reply } from './scanner.ts';

const PACKAGE = '@litko/yara-x';
const CHILD = fileURLToPath(new URL(`./native-child${extname(import.meta.filename)}`, import.meta.url));
/** Scanning gives way to the channel, to actions, and to the guests of this host. */
const NICENESS = 5;
const STDERR_KEPT = 500;
/** The descriptor that the child writes its replies to. */
const REPLIES = 3;

/** The native binding in child processes. Throws when there is no binding for this platform. */
export function nativeEngine(): Engine {
  const require = createRequire(import.meta.url);
  require(PACKAGE);
  const { version } = require(`${PACKAGE}/package.json`) as { version: string };
  return {
    name: 'native',
    version: `${PACKAGE} ${version}`,
    requestsPerRunner: Number.POSITIVE_INFINITY,
    start,
  };
}

function start(events: RunnerEvents): Runner {
  const child = spawn(process.execPath, [CHILD], {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    cwd: '/',
    env: {},
  });
  const { stdin: requests, stderr } = child as { stdin: Writable; stderr: Readable };
  const replies = child.stdio[REPLIES] as Readable;
  let said = '';
  let ended = false;
  const end = (why: string): void => {
    if (!ended) events.ended([why, said.trim()].filter(Boolean).join(': '));
    ended = true;
  };

  const lines = new Lines();
  replies.on('data', (chunk: Buffer) => {
    for (const line of lines.push(chunk)) events.reply(JSON.parse(line) as Reply);
  });
  stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-STDERR_KEPT);
  });
  // A write to a child that has gone: its end, reported below, says all.
  requests.on('error', () => undefined);
  child.on('error', (error) => end(error.message));
  child.on('close', (code, signal) => end(`the scanning process ended with ${signal ?? `status ${code}`}`));
  if (child.pid !== undefined) setPriority(child.pid, NICENESS);

  // What is posted in one turn is written at once: a system call for each small file would show.
  const flush = (): void => requests.uncork();
  return {
    post(request) {
      if (requests.writableCorked === 0) {
        requests.cork();
        process.nextTick(flush);
      }
      requests.write(`${JSON.stringify(request)}\n`);
    },
    kill: () => child.kill('SIGKILL'),
  };
}
