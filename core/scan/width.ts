/** How much is done at once, from the cores at hand. */
import { availableParallelism } from 'node:os';

const between = (least: number, most: number, count: number): number =>
  Math.max(least, Math.min(most, count));

/** Guests that are scanned at once where no setting says so: their waits fill one another's gaps. */
export const guestsAtOnce = (cores = availableParallelism()): number => between(2, 8, cores);

/** Content requests of one scan under way at once: while one is answered, the next is sent for. */
export const requestsAtOnce = (cores = availableParallelism()): number =>
  between(2, 4, Math.floor(cores / 2));
