/**
 * Configuration files as one value that remembers where each key was written. YAML 1.2, of which JSON is a
 * part. A later file adds to the mappings of an earlier one and replaces whatever is no mapping.
 */
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { displayText } from '../../protocol/index.ts';

export type KeyPath = readonly PropertyKey[];

/** Lines and columns count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What is wrong at one place. */
export interface Fault {
  readonly at: Position;
  readonly key: KeyPath;
  readonly message: string;
}

/** One file's content, and every key's position by `pointer`. */
export interface Source {
  readonly value: Readonly<Record<string, unknown>>;
  readonly positions: ReadonlyMap<string, Position>;
}

/** A path as a JSON pointer (RFC 6901): no two paths share one. */
export const pointer = (path: KeyPath): string =>
  path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Reads one file's text: the source, or all that is wrong with its syntax. */
export function parseSource(file: string, text: string): Source | readonly Fault[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  const faults = [...document.errors, ...document.warnings].map(
    ({ pos, message }): Fault => ({ at: position(pos[0]), key: [], message: displayText(message) }),
  );
  if (faults.length > 0) return faults;
  if (document.contents !== null && !isMap(document.contents)) {
    const at = position((document.contents as Node).range?.[0] ?? 0);
    return [{ at, key: [], message: 'expected a mapping of keys to values' }];
  }
  const positions = new Map<string, Position>([['', position(0)]]);
  try {
    recordPositions(document.contents, [], (path, offset) => positions.set(pointer(path), position(offset)));
    return { value: plainValue(document), positions };
  } catch (cause) {
    // Aliases that multiply, that name themselves or what is not there, and nesting that is too deep.
    return [{ at: position(0), key: [], message: displayText((cause as Error).message) }];
  }
}

/** As JSON has it: a value that lies in itself would be walked for ever by those who read it. */
const plainValue = (document: Document): Record<string, unknown> => {
  const value = (document.toJS() as Record<string, unknown> | null) ?? {};
  JSON.stringify(value);
  return value;
};

function recordPositions(
  node: unknown,
  path: KeyPath,
  record: (path: KeyPath, offset: number) => void,
): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) {
      const below = [...path, String(isScalar(key) ? key.value : key)];
      record(below, (key as Node).range?.[0] ?? 0);
      recordPositions(value, below, record);
    }
  } else if (isSeq(node)) {
    node.items.forEach((item, index) => {
      record([...path, index], (item as Node).range?.[0] ?? 0);
      recordPositions(item, [...path, index], record);
    });
  }
}

/** Lays `later` over `earlier`. */
export function mergeSources(earlier: Source, later: Source): Source {
  const positions = new Map(earlier.positions);
  const value = mergeMappings(earlier.value, later.value, [], (replaced) => {
    const prefix = pointer(replaced);
    for (const key of positions.keys()) {
      if (key === prefix || key.startsWith(`${prefix}/`)) positions.delete(key);
    }
  });
  for (const [key, at] of later.positions) if (key !== '') positions.set(key, at);
  return { value, positions };
}

function mergeMappings(
  earlier: Readonly<Record<string, unknown>>,
  later: Readonly<Record<string, unknown>>,
  path: KeyPath,
  onReplaced: (path: KeyPath) => void,
): Record<string, unknown> {
  const merged = new Map(Object.entries(earlier));
  for (const [key, value] of Object.entries(later)) {
    const before = merged.get(key);
    const below = [...path, key];
    if (isMapping(before) && isMapping(value)) {
      merged.set(key, mergeMappings(before, value, below, onReplaced));
    } else {
      onReplaced(below);
      merged.set(key, value);
    }
  }
  return Object.fromEntries(merged);
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const NOWHERE: Position = { file: 'configuration', line: 1, column: 1 };

/** Where `path` was written; for a key that is missing, where the mapping that lacks it was. */
export function positionOf(source: Source, path: KeyPath): Position {
  for (let length = path.length; length >= 0; length--) {
    const at = source.positions.get(pointer(path.slice(0, length)));
    if (at) return at;
  }
  return NOWHERE;
}
