import { runHand } from './run-hand.ts';

await runHand();
