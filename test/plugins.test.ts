/** The built-in plugins are exactly the folders of `plugins/`, and each folder has what one expects there. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BUILT_IN } from '../core/container.ts';
import { INSTRUCTION_NAMES } from '../protocol/index.ts';

const PLUGINS = path.join(import.meta.dirname, '..', 'plugins');
const FOLDERS = { detector: 'detectors', remediation: 'remediations', patch: 'patches' } as const;

const folders = Object.values(FOLDERS).flatMap((kind) =>
  readdirSync(path.join(PLUGINS, kind)).map((id) => `${kind}/${id}`),
);
const folderOf = ({ kind, id }: (typeof BUILT_IN)[number]['meta']): string => `${FOLDERS[kind]}/${id}`;

it('every folder is a built-in plugin of the same kind and id, and every built-in has its folder', () => {
  expect(BUILT_IN.map(({ meta }) => folderOf(meta)).sort()).toEqual(folders.sort());
});

describe.each(BUILT_IN)('$meta.id', ({ meta, requires }) => {
  const folder = path.join(PLUGINS, folderOf(meta));

  it('has a page for people and a test', () => {
    expect(existsSync(path.join(folder, 'README.md'))).toBe(true);
    expect(readdirSync(folder).some((name) => name.endsWith('.test.ts'))).toBe(true);
    if (meta.kind === 'detector') expect(readdirSync(path.join(folder, 'fixtures'))).not.toEqual([]);
  });

  it('describes itself and requires instructions that there are', () => {
    expect(meta.version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(meta.description).toMatch(/^[A-Z].*[^.]$/);
    expect(requires).not.toEqual([]);
    for (const instruction of requires) expect(INSTRUCTION_NAMES).toContain(instruction);
  });
});
