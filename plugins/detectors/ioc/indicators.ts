/**
 * A file of indicators of compromise, in JSON, a format of this project:
 *
 *   { "format": 1, "indicators": [
 *     { "type": "path", "value": "/tmp/.X11-unix/*.so", "judgement": "suspicious", "name": "Hidden library",
 *       "description": "…", "attack": ["T1574.006"] } ] }
 *
 * README.md says what each type looks at. Whoever reads it must be able to trust that a pattern is not one for
 * everything: what is found may be deleted.
 */
import { PluginError, readRegularFile, type SignatureProblem } from 'lazaret/plugin';
import { z } from 'zod';

const LARGEST_FILE = 64 * 1024 * 1024;
const MOST_INDICATORS = 100_000;
const MOST_NAMED = 100;
const LONGEST_VALUE = 4_096;
const FEWEST_CHARACTERS = 3;

const specific = z
  .string()
  .max(LONGEST_VALUE)
  .refine((value) => value.replaceAll(/[*/\s]/g, '').length >= FEWEST_CHARACTERS, {
    message: `has fewer than ${FEWEST_CHARACTERS} characters besides * and /`,
  });
const pattern = specific.refine((value) => !value.includes('**'), {
  message: 'has **: * stays within one directory',
});

const meaning = {
  judgement: z.enum(['malicious', 'suspicious']),
  name: z.string().min(1).max(200),
  description: z.string().min(1).max(1_000).exactOptional(),
  attack: z
    .array(z.string().regex(/^T\d{4}(\.\d{3})?$/, 'is no technique such as T1620 or T1053.003'))
    .max(32)
    .exactOptional(),
};

const indicator = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('path'), value: pattern.startsWith('/'), ...meaning }),
  z.strictObject({
    type: z.literal('file-name'),
    value: pattern.refine((value) => !value.includes('/'), { message: 'has a /: that is a path' }),
    ...meaning,
  }),
  z.strictObject({
    type: z.literal('sha256'),
    value: z
      .string()
      .regex(/^[0-9a-f]{64}$/i, 'is no SHA-256 in hexadecimal')
      .toLowerCase(),
    ...meaning,
  }),
  z.strictObject({ type: z.literal('process-name'), value: specific, ...meaning }),
  z.strictObject({ type: z.literal('command-line'), value: specific, ...meaning }),
]);

const file = z.strictObject({
  format: z.literal(1),
  indicators: z.array(z.unknown()).max(MOST_INDICATORS),
});

/** An indicator, and what findings call the file that it stands in. */
export type Indicator = z.output<typeof indicator> & { readonly source: string };

export interface Indicators {
  readonly indicators: readonly Indicator[];
  /** Those that were left out. */
  readonly problems: readonly SignatureProblem[];
}

/** Throws PluginError `bad-signatures` when it is no such file; single indicators that are wrong are problems. */
export async function readIndicators(path: string, source: string): Promise<Indicators> {
  const indicators: Indicator[] = [];
  const problems: SignatureProblem[] = [];
  let more = 0;
  for (const [index, given] of (await readEntries(path)).entries()) {
    const checked = indicator.safeParse(given);
    if (checked.success) indicators.push({ ...checked.data, source });
    else if (problems.length === MOST_NAMED) more += 1;
    else problems.push({ file: path, message: `indicator ${index + 1}: ${shown(checked.error)}` });
  }
  if (more > 0) problems.push({ file: path, message: `and ${more} more such indicators` });
  return { indicators, problems };
}

async function readEntries(path: string): Promise<readonly unknown[]> {
  const refused = (why: string, cause?: unknown): PluginError =>
    new PluginError('bad-signatures', `${path} ${why}`, { cause });
  try {
    const text = (await readRegularFile(path, LARGEST_FILE, 'indicators')).toString('utf8');
    const checked = file.safeParse(JSON.parse(text));
    if (checked.success) return checked.data.indicators;
    throw refused(`is no file of indicators of format 1: ${shown(checked.error)}`);
  } catch (cause) {
    if (cause instanceof PluginError) throw cause;
    if (cause instanceof SyntaxError) throw refused(`is no JSON: ${cause.message}`, cause);
    throw refused('cannot be read: check the option "files"', cause);
  }
}

const shown = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message)).join('; ');
