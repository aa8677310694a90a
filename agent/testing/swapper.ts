/**
 * A program that makes two files change places as fast as it can, and puts malware back where it was taken
 * away. It never removes or overwrites anything: what is missing afterwards, somebody else has removed.
 *
 *   swapper.ts DIRECTORY     ends when its input does
 */
import { existsSync, linkSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renameExchange } from '../linux/calls.ts';
import { errnoOf } from '../linux/error.ts';

const TURNS = 50;
const path = process.argv[2] ?? '';
const directory = openSync(path, 'r');
const [bad, good, spare] = ['bad', 'good', 'spare'].map((name) => join(path, name)) as [
  string,
  string,
  string,
];
let isOver = false;

function swap(): void {
  for (let turn = 0; turn < TURNS; turn++) {
    try {
      renameExchange(directory, Buffer.from('bad'), directory, Buffer.from('good'));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      replenish();
    }
  }
  if (!isOver) setImmediate(swap);
}

function replenish(): void {
  writeFileSync(spare, 'malware');
  try {
    if (!existsSync(bad)) linkSync(spare, bad);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
  rmSync(spare);
}

writeFileSync(good, 'good');
writeFileSync(bad, 'malware');
process.stdin.on('end', () => {
  isOver = true;
});
process.stdin.resume();
process.stdout.write('swapping\n');
swap();
