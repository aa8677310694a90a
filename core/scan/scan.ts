/**
 * A scan of a guest that is connected: its files, then its processes, then files that start what was found in
 * either; every finding is planned for and acted upon as soon as it is known. What comes before (open the channel, log in, negotiate, grant) is `connectGuest`;
 * both are joined in `scanner.ts`.
 */
import { displayText } from '../../protocol/index.ts';
import type { ConnectedGuest } from '../capability/connect.ts';
import { shown } from '../events/objects.ts';
import { AnswerKeys } from './answer-keys.ts';
import { ContentJudge } from './contents.ts';
import { Detection, type NamedDetector } from './detect.ts';
import { fetchContents } from './fetch.ts';
import { FileScan } from './file-scan.ts';
import { parallel } from './flow.ts';
import { ProcessScan } from './process-scan.ts';
import type { Unrecorded } from './responder.ts';
import type { ScanContext, ScanParts, ScanPolicy } from './scan-context.ts';
import { Starters } from './starters.ts';

/** Content requests under way at once: one is sent for while the other is answered. */
const REQUESTS_AT_ONCE = 2;

export class GuestScan {
  private readonly files: FileScan;
  private readonly processes: ProcessScan;
  /** Aborted when the scan ends, however it ends: what works ahead then gives up. */
  private readonly ended = new AbortController();

  /** Throws StoreError. */
  constructor(guest: ConnectedGuest, { known, ...parts }: ScanParts, given: ScanPolicy) {
    const { detectors, spool, circumstances } = parts;
    const policy = { ...given, maxFileBytes: Math.min(given.maxFileBytes, spool.largest) };
    const keys = new AnswerKeys(detectors);
    const generation = keys.generation({ maxFileBytes: policy.maxFileBytes });
    const knowledge = known.forScan(circumstances.vm, guest.features, generation, policy.fresh);
    const detection = new Detection(detectors);
    const judge = new ContentJudge({ detection, keys, ...knowledge }, widthOf(detectors), spool.largest);
    const digests = detectors.flatMap(({ detector }) => detector.digests ?? []);
    const fetchPolicy = { maxFileBytes: policy.maxFileBytes, digests };
    const context: ScanContext = {
      ...parts,
      ...{ guest, policy, detection, guilty: new Map(), starters: new Starters() },
      fetchAndJudge: (batches, signal) => {
        const fetched = parallel(batches, REQUESTS_AT_ONCE, (batch) =>
          fetchContents(guest.session, batch, spool, fetchPolicy, signal),
        );
        return judge.judge(fetched, signal);
      },
      answer: async (found, phase, signal) => {
        const { tally, responder, onProgress } = parts;
        onProgress(tally.snapshot(found.length > 0 ? 'acting' : phase));
        for (const lost of await responder.answer(found, signal)) tally.missed(...missedAs(lost));
        onProgress(tally.snapshot(phase));
      },
    };
    this.files = new FileScan(context, { ...knowledge, keys, judge, digests });
    this.processes = new ProcessScan(context);
  }

  /** Rejects with ChannelError, ScanError or StoreError; all that was found until then is kept. */
  async run(signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.ended.signal]);
    try {
      await this.files.run(either);
      await this.processes.run(either);
      await this.files.answerStarters(either);
    } finally {
      this.ended.abort();
    }
  }
}

/** What was found and is not on record must not pass for found: nobody would find it again. */
function missedAs({ record, why }: Unrecorded): Parameters<ScanParts['tally']['missed']> {
  const { subject, judgement, detections } = record;
  const path = shown(subject.kind === 'file' ? subject.path : subject.executable);
  const names = detections.map(({ name }) => displayText(name)).join(', ');
  return [path, { reason: 'not-recorded', detail: `${judgement} (${names}), and not written down: ${why}` }];
}

/** Batches under way at once: as many as the widest detector takes, and one that is being filled. */
const widthOf = (detectors: readonly NamedDetector[]): number =>
  1 + Math.max(1, ...detectors.map(({ detector }) => detector.concurrency));
