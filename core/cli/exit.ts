/**
 * Exit codes. `scan`: 0 clean, 1 found, 2 error. Where something was found and something was missed (unscanned, a
 * VM that failed, a rule left out) or an action failed, 2 wins: 1 would promise that what was found is all there is
 * and was dealt with as ordered, and what was found is told in the output either way. Other commands: 0, 1, and for usage and
 * configuration those of sysexits.h.
 */
export const EXIT = {
  ok: 0,
  failed: 1,
  found: 1,
  incomplete: 2,
  usage: 64,
  configuration: 78,
  killed: 130,
} as const;
