/**
 * The processes of a guest: list, judge the executables that no listing of files has, judge, answer; a batch after the
 * other as they come, so that a list of any length takes no more memory than a batch. The guest waits meanwhile.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LIMITS } from '../../protocol/index.ts';
import { isFound, processFinding } from './findings.ts';
import { batched } from './flow.ts';
import {
  executableItems,
  inodeKey,
  isKernelThread,
  isRunning,
  lengthOfText,
  type RunningProcess,
  shownPlace,
  subjectOf,
} from './processes.ts';
import type { Answerable } from './responder.ts';
import { release, type ScanContext } from './scan-context.ts';
import type { Verdict } from './verdict.ts';

const BATCH_PROCESSES = 128;
/** Of names, arguments and paths: what a process tells of itself is a hundred bytes, or 16 KiB. */
const BATCH_CHARACTERS = 1024 * 1024;

export class ProcessScan {
  private readonly scan: ScanContext;
  /** Executables that were read through a process, by device and inode: at most one a process of the list. */
  private readonly read = new Set<string>();

  constructor(scan: ScanContext) {
    this.scan = scan;
  }

  /** Rejects with ChannelError, ScanError or StoreError; all that was found until then is kept. */
  async run(signal: AbortSignal): Promise<void> {
    const { detection, guest, tally } = this.scan;
    if (detection.interest({ kind: 'process' }) === '') return;
    if (!guest.instructionSet.instructions.includes('query:processes')) {
      const detail = 'this guest does not grant query:processes';
      tally.missed('all processes', { reason: 'unreadable', detail });
      return;
    }
    for await (const batch of batched(
      this.running(signal),
      BATCH_PROCESSES,
      BATCH_CHARACTERS,
      lengthOfText,
    )) {
      await this.judgeExecutables(batch, signal);
      await this.scan.answer(await this.judge(batch, signal), 'acting', signal);
      // Where nothing had to be awaited, others wait; and that the session was lost is told in a turn of its own.
      await nextTurn();
    }
  }

  /** Those that run an executable; what cannot be judged is told. */
  private async *running(signal: AbortSignal): AsyncGenerator<RunningProcess> {
    const { guest, responder, tally } = this.scan;
    for await (const line of guest.session.listProcesses(signal)) {
      if (line.type === 'fault') {
        tally.missed(`process ${line.pid ?? '?'}`, { reason: 'unreadable', detail: line.detail });
      } else if (line.type === 'end') {
        if (line.limit) tally.missed('all other processes', cutShort(line.limit));
      } else {
        responder.observe(line);
        if (isRunning(line)) yield line;
        else if (!isKernelThread(line)) {
          const detail = 'its executable cannot be told';
          tally.missed(`process ${line.pid}`, { reason: 'unreadable', detail });
        }
      }
    }
  }

  private async judge(running: readonly RunningProcess[], signal: AbortSignal): Promise<Answerable[]> {
    const { detection, guilty, tally } = this.scan;
    const judged = running.map((process) => ({
      process,
      subject: subjectOf(process, guilty.get(inodeKey(process.executable))),
    }));
    const verdicts = await detection.verdicts(
      judged.map(({ subject }) => subject),
      signal,
    );
    const found: Answerable[] = [];
    for (const { process, subject } of judged) {
      const verdict = verdicts.get(subject.id);
      if (!verdict) continue;
      const name = `process ${process.pid} ${subject.name}`;
      tally.processDone(name, verdict);
      if (process.cut) tally.missed(name, { reason: 'engine-limit', detail: CUT });
      if (isFound(verdict)) found.push(this.answerable(process, verdict));
    }
    return found;
  }

  private answerable(
    process: RunningProcess,
    verdict: Extract<Verdict, { detections: unknown }>,
  ): Answerable {
    const found = processFinding(process, verdict, this.scan.circumstances);
    const { executable } = process;
    const isOutOfReach =
      executable.placed === false && !executable.deleted && this.read.has(inodeKey(executable));
    return isOutOfReach && verdict.state === 'malicious' ? { ...found, remark: outOfReach(process) } : found;
  }

  /** Executables that are in no listing of files are read through their process. */
  private async judgeExecutables(running: readonly RunningProcess[], signal: AbortSignal): Promise<void> {
    const { detection, guilty, starters, tally } = this.scan;
    const items = executableItems(running, detection).filter(
      ({ executable }) => !this.read.has(inodeKey(executable)),
    );
    if (items.length === 0) return;
    for (const { executable } of items) this.read.add(inodeKey(executable));
    for await (const judged of this.scan.fetchAndJudge(once(items), signal)) {
      for (const { item, verdict } of judged) {
        const { executable, facts } = item;
        if (isFound(verdict)) guilty.set(inodeKey(executable), verdict.detections);
        // It ran from there, and what started it may start it again. A path of another namespace is nothing here.
        if (executable.placed) starters.found(facts.path, verdict);
        if ('unfinished' in verdict && verdict.unfinished) tally.missed(facts.path, verdict.unfinished);
      }
      release(judged);
    }
  }
}

const CUT = `of its arguments, the first ${LIMITS.commandLineBytes} bytes were looked at`;

const cutShort = (limit: 'processes' | 'bytes') =>
  ({
    reason: 'engine-limit',
    detail:
      limit === 'processes'
        ? `the list of processes ended at its limit of ${LIMITS.processes}; the rest was not seen`
        : `the list of processes ended at its limit of ${LIMITS.processListBytes} bytes; the rest was not seen`,
  }) as const;

/** Why nothing is done about the file of a process that is stopped. */
const outOfReach = (process: RunningProcess): string =>
  `its file was not contained: it has no path in the guest itself, only ${shownPlace(process)}; ` +
  'take it out of there, or remove what runs there, lest it be started again';

async function* once<Item>(item: Item): AsyncGenerator<Item> {
  yield item;
}
