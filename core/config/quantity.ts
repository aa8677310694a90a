/** Sizes and times as people write them in a configuration: `512MiB`, `30s`. */
import { z } from 'zod';

const BYTES = { '': 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
const MILLISECONDS = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 } as const;

/** A size: a number of bytes, or text such as `512MiB`. Comes out as bytes. */
export const bytes = ({ leastMib = 0 } = {}) => {
  const error = `a size such as 512MiB, 1GiB or a number of bytes${leastMib > 0 ? `, at least ${leastMib}MiB` : ''}`;
  return quantity(BYTES, /^\d{1,15}(B|KiB|MiB|GiB|TiB)?$/, error, {
    bare: true,
    least: leastMib * BYTES.MiB,
  });
};

/** Node's timers hold 31 bits of milliseconds: one that is longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A time: text such as `30s`. Comes out as milliseconds, by default no more than a timer takes (about 24 days). */
export const duration = ({ least = 1, most = LONGEST_TIMER_MS } = {}) => {
  const bounds =
    least > 1 ? `from ${inUnits(least)} to ${inUnits(most)}` : `more than 0, at most ${inUnits(most)}`;
  const error = `a time such as 500ms, 30s, 5min or 2h, ${bounds}`;
  return quantity(MILLISECONDS, /^\d{1,9}(ms|s|min|h)$/, error, { bare: false, least, most });
};

/** Rounded down to the largest unit of which there is one whole. */
const inUnits = (milliseconds: number): string => {
  const [unit, size] = Object.entries(MILLISECONDS).findLast(([, one]) => milliseconds >= one) ?? ['ms', 1];
  return `${Math.floor(milliseconds / size)}${unit}`;
};

/** `bare`: a number without a unit will do as well. */
function quantity(
  units: Readonly<Record<string, number>>,
  shape: RegExp,
  error: string,
  {
    bare,
    least,
    most = Number.MAX_SAFE_INTEGER,
  }: { readonly bare: boolean; readonly least: number; readonly most?: number },
) {
  const text = z.string({ error }).regex(shape, { error });
  const written = bare ? z.union([z.int({ error }).min(1, { error }), text], { error }) : text;
  return written.transform((value, context) => {
    const amount = typeof value === 'number' ? value : amountOf(value, units);
    if (Number.isSafeInteger(amount) && amount > 0 && amount >= least && amount <= most) return amount;
    context.issues.push({ code: 'custom', message: error, input: value });
    return z.NEVER;
  });
}

function amountOf(text: string, units: Readonly<Record<string, number>>): number {
  const [, digits = '', unit = ''] = /^(\d+)(.*)$/.exec(text) ?? [];
  return Number(digits) * (units[unit] ?? Number.NaN);
}
