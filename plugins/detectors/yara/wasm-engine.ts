import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Engine, Runner, RunnerEvents } from './engine.ts';
import { LaneCrew } from './lane-crew.ts';

const PACKAGE = '@virustotal/yara-x';
const WORKER = new URL(`./wasm-worker${extname(import.meta.filename)}`, import.meta.url);
/** An instance leaks some 70 KB with each scan and traps for good after about 16,000. */
const SCANS_PER_WORKER = 2_000;

/** The official WebAssembly build in worker threads. */
export function wasmEngine(): Engine {
  const { version } = createRequire(import.meta.url)(`${PACKAGE}/package.json`) as { version: string };
  return {
    name: 'wasm',
    version: `${PACKAGE} ${version}`,
    open: (processes) => new LaneCrew({ requestsPerRunner: SCANS_PER_WORKER, start }, processes),
  };
}

function start(events: RunnerEvents): Runner {
  const worker = new Worker(WORKER, { execArgv: [], env: {}, stdout: true, stderr: true });
  // A rule may print, with bytes of the guest in it: nobody reads that.
  worker.stdout.resume();
  worker.stderr.resume();
  let why = 'the scanning worker ended';
  worker.on('message', events.reply);
  worker.on('error', (error: Error) => {
    why = `${why}: ${error.message}`;
  });
  worker.on('exit', () => events.ended(why));
  return { post: (request) => worker.postMessage(request), kill: () => void worker.terminate() };
}
