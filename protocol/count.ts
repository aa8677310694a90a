/**
 * Counters of what a guest says: of bytes above all, where two files of 2^63 - 1 bytes are a `truncate` away.
 * They saturate: past 2^53 - 1, the largest number of which JSON, SQLite and JavaScript make the same, a counter
 * stays there and means "at least so many". Every sum of a guest's numbers goes through `addCounts`.
 */
export const MOST_COUNTED: number = Number.MAX_SAFE_INTEGER;

/** The sum of two counters; both whole and not negative. */
export const addCounts = (count: number, more: number): number => Math.min(count + more, MOST_COUNTED);
