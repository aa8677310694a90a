/** The agent as one executable: itself, or the reader that it starts. Each loads nothing of the other's. */
import { READER_ARGUMENT } from './reader/argument.ts';

if (process.argv[2] === READER_ARGUMENT) (await import('./reader/run-reader.ts')).runReader();
else await import('./main.ts');
