/** The agent as one executable: itself, or a part that it starts. Each loads nothing of the others'. */
import { OWN_PARTS } from './own-part.ts';

switch (process.argv[2]) {
  case OWN_PARTS.reader:
    (await import('./reader/run-reader.ts')).runReader();
    break;
  case OWN_PARTS.hand:
    await (await import('./act/run-hand.ts')).runHand();
    break;
  default:
    await import('./main.ts');
}
