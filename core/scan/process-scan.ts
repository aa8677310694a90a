/** The processes of a guest: list, judge the executables that no listing of files has, judge, answer. */
import { isFound, processFinding } from './findings.ts';
import { batched } from './flow.ts';
import { executableItems, inodeKey, listProcesses, type ProcessInventory, subjectOf } from './processes.ts';
import type { Answerable } from './responder.ts';
import { release, type ScanContext } from './scan-context.ts';

const REQUEST_EXECUTABLES = 512;

export class ProcessScan {
  private readonly scan: ScanContext;

  constructor(scan: ScanContext) {
    this.scan = scan;
  }

  /** Rejects with ChannelError, ScanError or StoreError. */
  async run(signal: AbortSignal): Promise<void> {
    const { detection, guest, tally } = this.scan;
    if (detection.interest({ kind: 'process' }) === '') return;
    if (!guest.instructionSet.instructions.includes('query:processes')) {
      const detail = 'this guest does not grant query:processes';
      tally.missed('all processes', { reason: 'unreadable', detail });
      return;
    }
    const inventory = await listProcesses(guest.session, signal);
    await this.judgeNamelessExecutables(inventory, signal);
    const found = await this.judge(inventory, signal);
    for (const { pid } of inventory.unreadable) {
      const detail = 'its executable cannot be told';
      tally.missed(`process ${pid}`, { reason: 'unreadable', detail });
    }
    await this.scan.answer(found, 'acting', signal);
  }

  private async judge({ running }: ProcessInventory, signal: AbortSignal): Promise<Answerable[]> {
    const { detection, guilty, tally, circumstances } = this.scan;
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
      tally.processDone(`process ${process.pid} ${subject.name}`, verdict);
      if (isFound(verdict)) found.push(processFinding(process, verdict, circumstances));
    }
    return found;
  }

  /** Executables that have no name any more are in no listing of files: they are read through their process. */
  private async judgeNamelessExecutables({ running }: ProcessInventory, signal: AbortSignal): Promise<void> {
    const { detection, guilty, starters, tally } = this.scan;
    const batches = batched(executableItems(running, detection), REQUEST_EXECUTABLES, Infinity, () => 0);
    for await (const judged of this.scan.fetchAndJudge(batches, signal)) {
      for (const { item, verdict } of judged) {
        if (isFound(verdict)) guilty.set(inodeKey(item.executable), verdict.detections);
        // It ran from there, and what started it may start it again.
        starters.found(item.facts.path, verdict);
        if ('unfinished' in verdict && verdict.unfinished) tally.missed(item.facts.path, verdict.unfinished);
      }
      release(judged);
    }
  }
}
