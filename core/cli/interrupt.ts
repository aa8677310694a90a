import { InterruptedError } from './error.ts';
import { EXIT } from './exit.ts';
import type { Run } from './run.ts';

/** Runs `work` with a signal that the first interrupt aborts; the second one ends the process at once. */
export async function interruptible<Result>(
  run: Run,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const stopListening = run.io.onInterrupt(() => {
    if (controller.signal.aborted) run.io.abort(EXIT.killed);
    run.note('lazaret: stopping; once more ends it at once');
    controller.abort(new InterruptedError());
  });
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}
