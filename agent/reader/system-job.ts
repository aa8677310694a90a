import { systemFacts, UNKNOWN_SYSTEM } from '../features.ts';
import type { JobParts, JobRun, Step } from './job-run.ts';

/** What files of the guest tell of it, in one step: all of it, or that nothing is known. */
export class SystemJob implements JobRun {
  private readonly parts: JobParts;

  constructor(parts: JobParts) {
    this.parts = parts;
  }

  step(): Step {
    const { avoided, number, pad, root } = this.parts;
    pad.at(number, 0, Buffer.from('system'));
    const facts = avoided.items.length > 0 ? UNKNOWN_SYSTEM : systemFacts(root);
    return { payload: Buffer.from(JSON.stringify(facts)), read: 0, isDone: true, progress: null };
  }

  end(): void {
    // It holds nothing open between its steps.
  }
}
