import { MOST_COUNTED } from '../../protocol/index.ts';

/**
 * SQL for the sum of a column of counts. It saturates like all counters: `sum()` is an error past 2^63, and one damaged
 * row would cost all that is counted with it. What no record can have counts as nothing.
 */
export const saturatingSum = (column: string, over = ''): string =>
  `cast(min(total(${column}) FILTER (WHERE ${column} BETWEEN 0 AND ${MOST_COUNTED}) ${over}, ${MOST_COUNTED}) AS INTEGER)`;
