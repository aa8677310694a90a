/** How long it takes to learn what is protected in a guest, the first time and again. For `--tree /`: a sample has no system. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NeverTouch } from '../core/control/never-touch.ts';
import { KnownNeeds } from '../core/scan/survey/known-needs.ts';
import { Survey } from '../core/scan/survey/survey.ts';
import { connect } from './channel.ts';
import { startGuest } from './guest.ts';
import { figure, heading } from './table.ts';

const TIMES = 5;
/** From detection to containment less than a second passes; learning what is protected is half of it at most. */
const MOST_MS = 500;

export async function benchSurvey(tree: string): Promise<void> {
  heading('learning what is protected');
  const state = mkdtempSync(join(tmpdir(), 'lazaret-bench-state-'));
  try {
    await using guest = await startGuest(tree);
    const { session } = await connect(guest, state);
    const needs = new KnownNeeds();
    for (let time = 1; time <= TIMES; time++) {
      const begun = performance.now();
      await new Survey(session, new NeverTouch(), AbortSignal.timeout(60_000), needs.of('guest')).run();
      figure(time === 1 ? 'the first time' : 'again', performance.now() - begun, ' ms', 'at most', MOST_MS);
    }
    await session.close();
  } finally {
    rmSync(state, { recursive: true });
  }
}
