/** `pack.json`: what a pack is, and every file in it by its hash. docs/guides/make-a-pack.md describes each key. */
import { z } from 'zod';
import { API_VERSION, SIGNATURE_TYPES } from '../api/index.ts';
import { PackError } from './error.ts';

export const SCHEMA_VERSION = 1;
export const MANIFEST = 'pack.json';
export const SIGNATURE = 'pack.json.minisig';
/** Guests that this release scans; a file for other platforms only is not handed to detectors. */
const PLATFORM = 'linux';

const LONGEST_PATH = 240;
const COMPONENT = /^[A-Za-z0-9_][A-Za-z0-9._+@ -]{0,127}$/;

/** A path within a pack: relative, of plain names, so that it cannot lead out of it on any system. */
export const isPackPath = (path: string): boolean =>
  path.length <= LONGEST_PATH && path.split('/').every((component) => COMPONENT.test(component));

const path = z.string().refine(isPackPath, {
  error: 'expected a relative path of names of letters, digits and "._+@ -", at most 240 characters',
});
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, {
  error: 'expected lower-case letters, digits and "-"',
});
const text = z.string().min(1).max(1000);
const technique = z
  .string()
  .regex(/^T\d{4}(\.\d{3})?$/, { error: 'expected an ATT&CK id such as T1059.004' });

const file = z.strictObject({
  path,
  /** A signature type; `sample` for the tests; `text` for licences and the like. */
  type: z.enum([...SIGNATURE_TYPES, 'sample', 'text']),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.int().min(0),
  /** Platforms of guests that it is for. Default: all. */
  platforms: z
    .array(z.enum(['linux', 'windows', 'macos', 'freebsd']))
    .min(1)
    .optional(),
});

const test = z.strictObject({
  sample: path,
  /** How the sample is stored, so that no scanner takes the pack itself for what it is about. Default: as it is. */
  encoding: z.literal('base64').optional(),
  expect: z.enum(['detected', 'clean']),
  /** The signature that must be among those that match. */
  signature: text.optional(),
});

const shape = {
  schema: z.literal(SCHEMA_VERSION),
  vendor: name,
  id: name,
  version: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/),
  /** Grows with every release; what was installed never goes back. */
  serial: z.int().min(1),
  created: z.iso.datetime(),
  expires: z.iso.datetime(),
  licence: text,
  description: text.optional(),
  /** Where the content comes from. */
  provenance: text.optional(),
  api: z.strictObject({ minimum: z.int().min(1), maximum: z.int().min(1) }),
  attack: z.array(technique).max(1000).default([]),
  files: z.array(file).min(1).max(20_000),
  tests: z.array(test).max(10_000).default([]),
};

const manifest = z.strictObject(shape);
/** What a vendor writes: hashes and sizes are filled in when the pack is built. */
const draft = z.strictObject({
  ...shape,
  files: z.array(file.partial({ sha256: true, size: true })).max(20_000),
});

export type Manifest = z.output<typeof manifest>;
export type Draft = z.output<typeof draft>;
export type PackFile = Manifest['files'][number];

/** Throws PackError: `unsupported-schema`, `unsupported-api`, `bad-manifest`. */
export function parseManifest(bytes: Buffer): Manifest {
  const checked = parse(manifest, bytes);
  checkPaths(checked.files.map(({ path }) => path.toLowerCase()));
  const samples = new Set(checked.files.filter(({ type }) => type === 'sample').map(({ path }) => path));
  const stray = checked.tests.find(({ sample }) => !samples.has(sample));
  if (stray) throw bad(`the test of ${stray.sample} has no file of the type sample`);
  const { minimum, maximum } = checked.api;
  if (minimum > API_VERSION || maximum < API_VERSION) {
    throw new PackError(
      'unsupported-api',
      `it is made for versions ${minimum} to ${maximum} of the API, this host has ${API_VERSION}: get a release of it, or of Lazaret, that fits`,
    );
  }
  return checked;
}

/** No two files may have one path, nor one file lie where another needs a directory. */
function checkPaths(paths: readonly string[]): void {
  const known = new Set([...paths, MANIFEST, SIGNATURE]);
  if (known.size < paths.length + 2) throw bad('two files have the same path, or it lists itself');
  const under = paths.find((path) => parentsOf(path).some((parent) => known.has(parent)));
  if (under) throw bad(`${under} lies below a file`);
}

/** `a` and `a/b` of `a/b/c`. */
const parentsOf = (path: string): string[] =>
  [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index));

/** A manifest whose files need no hashes yet. Throws as `parseManifest`. */
export const parseDraft = (bytes: Buffer): Draft => parse(draft, bytes);

function parse<S extends z.ZodType>(schema: S, bytes: Buffer): z.output<S> {
  const value = fromJson(bytes);
  const version = (value as { schema?: unknown } | null)?.schema;
  if (typeof version === 'number' && version !== SCHEMA_VERSION) {
    throw new PackError(
      'unsupported-schema',
      `its manifest is of schema ${version}, this release knows ${SCHEMA_VERSION}: update Lazaret, or get an older release of the pack`,
    );
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const lines = result.error.issues.slice(0, 5).map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw bad(lines.join('; '));
}

function fromJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw bad('it is not JSON in UTF-8');
  }
}

const bad = (why: string): PackError =>
  new PackError('bad-manifest', `pack.json cannot be used: ${why}: its vendor must correct it`);

/** Whether a file is for guests that this release scans. */
export const fits = ({ platforms }: PackFile): boolean => platforms?.includes(PLATFORM) ?? true;
