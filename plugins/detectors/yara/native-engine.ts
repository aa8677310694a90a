import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Confinement, MemoryWatch } from 'lazaret/plugin';
import type { Engine, ProcessLimits, Runner, RunnerEvents } from './engine.ts';
import { LaneCrew } from './lane-crew.ts';
import { Lines } from './lines.ts';
import type { Reply } from './scanner.ts';

const PACKAGE = '@litko/yara-x';
const CHILD = fileURLToPath(new URL(`./native-child${extname(import.meta.filename)}`, import.meta.url));
/** What a confinement may lack: nothing is written, started or connected to by way of Node either. */
const FLAGS = [
  '--permission',
  '--allow-addons',
  '--allow-fs-read=*',
  '--disable-warning=SecurityWarning',
  '--disable-warning=ExperimentalWarning',
];
const STDERR_KEPT = 500;
/** The descriptor that the child writes its replies to. */
const REPLIES = 3;

/** The native binding in child processes; undefined when there is none for this platform. */
export function nativeEngine({ confinement, memoryBytes }: ProcessLimits): Engine | undefined {
  const version = bindingVersion();
  if (version === undefined) return undefined;
  return {
    name: 'native',
    version: `${PACKAGE} ${version}`,
    open: (processes) =>
      new LaneCrew(
        {
          requestsPerRunner: Number.POSITIVE_INFINITY,
          start: (events) => start(events, confinement, memoryBytes),
        },
        processes,
      ),
  };
}

function bindingVersion(): string | undefined {
  const require = createRequire(import.meta.url);
  try {
    require(PACKAGE);
    return (require(`${PACKAGE}/package.json`) as { version: string }).version;
  } catch {
    return undefined;
  }
}

function start(events: RunnerEvents, confinement: Confinement, memoryBytes: number): Runner {
  const { program, args } = confinement.around({ program: process.execPath, args: [...FLAGS, CHILD] });
  const child = spawn(program, args, {
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    cwd: '/',
    env: {},
  });
  const { stdin: requests, stderr } = child as { stdin: Writable; stderr: Readable };
  const replies = child.stdio[REPLIES] as Readable;
  let said = '';
  let ended = false;
  let reason: string | undefined;
  const watch =
    child.pid === undefined
      ? undefined
      : new MemoryWatch(child.pid, memoryBytes, (exceeded) => {
          reason = `the scanning process was ended: ${exceeded}`;
          child.kill('SIGKILL');
        });
  const end = (why: string): void => {
    watch?.[Symbol.dispose]();
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
  child.on('close', (code, signal) =>
    end(reason ?? `the scanning process ended with ${signal ?? `status ${code}`}`),
  );

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
