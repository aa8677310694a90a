import type { Confinement } from 'lazaret/plugin';
import type { Crew } from './jobs.ts';
import type { Reply, Request } from './scanner.ts';

export interface Engine {
  readonly name: 'native' | 'wasm' | 'program';
  /** Package or program, and version; part of every kept verdict. */
  readonly version: string;
  /** Starts it; `processes`: files that are scanned at once. */
  open(processes: number): Crew;
}

/** Something that runs a scanner apart from this process or thread, and can be killed in the middle of a scan. */
export interface RunnerSource {
  /** A runner is replaced after so many requests. */
  readonly requestsPerRunner: number;
  start(events: RunnerEvents): Runner;
}

export interface Runner {
  post(request: Request): void;
  /** Ends it at once, whatever it does; `ended` follows. */
  kill(): void;
}

export interface RunnerEvents {
  reply(reply: Reply): void;
  /** Called once; no reply follows. */
  ended(detail: string): void;
}

/** What holds for an engine in a process of its own. */
export interface ProcessLimits {
  readonly confinement: Confinement;
  /** Resident. A process that needs more is killed. */
  readonly memoryBytes: number;
}
