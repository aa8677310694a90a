/** A worker thread around the official WebAssembly build. A scan cannot be interrupted; the worker can be terminated. */
import { parentPort } from 'node:worker_threads';
import { type Request, reply } from './scanner.ts';
import { WasmScanner } from './wasm-scanner.ts';

const scanner = new WasmScanner();
parentPort?.on('message', (request: Request) => parentPort?.postMessage(reply(scanner, request)));
