/** Rows that were left out since the process started, each told of once. */
import type { Logger } from '../api/index.ts';

export interface LeftOutRow {
  readonly table: string;
  readonly key: string;
  readonly reason: string;
}

/** So many are remembered; the first row beyond them is told of as one of more, and the others not at all. */
export const MOST_LEFT_OUT = 1000;
/** A key is what the row says of itself, and it is damaged. */
const SHOWN = 128;

export class LeftOut {
  private readonly known = new Map<string, LeftOutRow>();
  private hear: ((row: LeftOutRow) => void) | undefined;
  private isFull = false;

  /** `hear` is told of those that are known already, and of all that come. */
  tell(hear: (row: LeftOutRow) => void): void {
    this.hear = hear;
    for (const row of this.known.values()) hear(row);
  }

  add({ table, key, reason }: LeftOutRow): void {
    const row = { table, key: key.slice(0, SHOWN), reason: reason.slice(0, SHOWN) };
    const id = JSON.stringify([row.table, row.key]);
    if (this.isFull || this.known.has(id)) return;
    if (this.known.size >= MOST_LEFT_OUT) {
      this.isFull = true;
      this.hear?.({ ...row, reason: `${row.reason}; more rows cannot be read, which are not told of` });
      return;
    }
    this.known.set(id, row);
    this.hear?.(row);
  }
}

/** The fact is not called `key`: a log takes the value of one of that name for a secret. */
export const logLeftOut = (logger: Pick<Logger, 'warn'>, { table, key: row, reason }: LeftOutRow): void =>
  logger.warn('a row of the database cannot be read, and is left out: lazaret doctor tells of all', {
    ...{ table, row, reason },
  });
