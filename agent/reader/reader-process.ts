import { runReader } from './run-reader.ts';

runReader();
