/** Reads a bundle: one YAML file, described in README.md, checked whole before anything is done with it. */
import { readFile } from 'node:fs/promises';
import { PluginError } from 'lazaret/plugin';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import type { Settings, SettingsFormat } from './settings.ts';
import { sshd } from './sshd.ts';
import { sysctl } from './sysctl.ts';

const FORMATS: Readonly<Record<'sshd' | 'sysctl', SettingsFormat>> = { sshd, sysctl };
const LONGEST_PATH = 4096;

const guestPath = z
  .string()
  .max(LONGEST_PATH)
  .refine(
    (path) => /^(\/[^/\0]+)+$/.test(path) && !/\/\.\.?(\/|$)/.test(path),
    'expected the absolute path of a file, with no "." and no ".." in it',
  );

const permissions = z
  .string({ error: 'expected permissions in quotation marks, such as "0600"' })
  .regex(/^0?[0-7]{3}$/, 'expected three octal digits, such as "0600"')
  .transform((text) => Number.parseInt(text, 8));
const owner = z.int().min(0).max(0xffff_fffe);

/** Printable ASCII, on one line: what stands in the file is what is read in the bundle. */
const settingValue = z
  .union([z.string(), z.int()], { error: 'expected text or a whole number; yes and no are text' })
  .transform(String)
  .refine((text) => /^[!-~]+( +[!-~]+)*$/.test(text), 'expected printable ASCII with no blanks around it');

const settings = z
  .strictObject({ format: z.enum(['sshd', 'sysctl']), set: z.record(z.string(), settingValue) })
  .transform(({ format, set }, context) => {
    const issue = (path: PropertyKey[], message: string): unknown =>
      context.issues.push({ code: 'custom', input: set, path: ['set', ...path], message });
    const { expectation, canonical } = FORMATS[format];
    const names = new Map<string, string>();
    for (const [name, value] of Object.entries(set)) {
      const expected = expectation(name, value);
      if (expected !== undefined) issue([name], `expected ${expected}`);
      const other = names.get(canonical(name));
      if (other !== undefined) issue([name], `expected each setting once: ${other} is the same one`);
      names.set(canonical(name), name);
    }
    if (names.size === 0) issue([], 'expected at least one setting');
    return { format: FORMATS[format], set: new Map(Object.entries(set)) satisfies Settings };
  });

const expectation = z.union(
  [z.enum(['any', 'absent']), z.strictObject({ sha256: z.array(z.string().regex(/^[0-9a-f]{64}$/)).min(1) })],
  { error: 'expected any, absent, or sha256 with a list of digests of 64 hex digits' },
);

const file = z
  .strictObject({
    path: guestPath,
    expect: expectation,
    content: z.string().optional(),
    settings: settings.optional(),
    mode: permissions.optional(),
    uid: owner.optional(),
    gid: owner.optional(),
  })
  .refine(
    ({ content, settings }) => (content === undefined) !== (settings === undefined),
    'expected either content or settings',
  );

const Bundle = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'expected small letters, digits, "-" and "."'),
  title: z.string().min(1).max(200),
  files: z
    .array(file)
    .min(1)
    .refine(
      (files) => new Set(files.map(({ path }) => path)).size === files.length,
      'expected each path once',
    ),
  verify: z.array(z.strictObject({ path: guestPath, settings })).default([]),
});
export type Bundle = z.output<typeof Bundle>;
export type BundleFile = Bundle['files'][number];

export const isBundle = (path: string): boolean => /\.ya?ml$/.test(path);

/** Throws PluginError `bad-bundle` with one line for each fault: file, line, column, key, what was expected. */
export async function readBundle(path: string): Promise<Bundle> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new PluginError('bad-bundle', `the bundle cannot be read: ${cause.message}`, { cause });
  });
  return parseBundle(path, text);
}

export function parseBundle(path: string, text: string): Bundle {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const syntax = [...document.errors, ...document.warnings];
  if (syntax.length > 0) {
    throw badBundle(syntax.map(({ pos, message }) => `${place(pos[0])}: ${message}`));
  }
  const result = Bundle.safeParse(toValue(document));
  if (result.success) return result.data;
  throw badBundle(
    result.error.issues.flatMap(faultsOf).map(({ key, message }) => {
      return `${place(offsetOf(document, key))}: ${key.length > 0 ? `${keyText(key)}: ` : ''}${message}`;
    }),
  );
}

function toValue(document: Document): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    // Aliases that multiply beyond measure.
    throw new PluginError('bad-bundle', `the bundle cannot be read: ${String(cause)}`, { cause });
  }
}

const badBundle = (faults: readonly string[]): PluginError =>
  new PluginError('bad-bundle', faults.join('\n'));

type Key = readonly PropertyKey[];

function faultsOf(issue: z.core.$ZodIssue): { readonly key: Key; readonly message: string }[] {
  if (issue.code !== 'unrecognized_keys') return [{ key: issue.path, message: issue.message }];
  return issue.keys.map((name) => ({ key: [...issue.path, name], message: 'there is no such key' }));
}

/** Where the key was written; for one that is missing, where the mapping is that lacks it. */
function offsetOf(document: Document, key: Key): number {
  for (let length = key.length; length > 0; length--) {
    const node: unknown = document.getIn(key.slice(0, length), true);
    const range = (node as { range?: readonly number[] } | undefined)?.range;
    if (range?.[0] !== undefined) return range[0];
  }
  return 0;
}

/** `files[0].settings.set.PermitRootLogin` */
const keyText = (key: Key): string =>
  key
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
