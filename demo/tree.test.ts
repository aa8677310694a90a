import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from './package-root.ts';
import { minerSettings, samples, sha256 } from './samples.ts';
import { plantTree } from './tree.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-tree-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const filesBelow = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('the tree of the demo', () => {
  it('holds a few hundred real files, within bounds and without special bits', () => {
    const count = plantTree(root);
    const files = filesBelow(root).map((path) => statSync(path));
    expect(count).toBeGreaterThan(200);
    expect(files.reduce((sum, file) => sum + file.size, 0)).toBeLessThan(64 * 1024 * 1024);
    expect(files.filter((file) => (file.mode & 0o7000) !== 0)).toEqual([]);
  });

  it('holds each sample where it is said to be', () => {
    plantTree(root);
    for (const { path, content, mode } of samples()) {
      expect(readFileSync(join(root, path)).equals(content)).toBe(true);
      expect(statSync(join(root, path)).mode & 0o777).toBe(mode);
    }
    expect(readFileSync(join(root, 'etc/ssh/sshd_config'), 'utf8')).toContain('PermitRootLogin yes');
  });
});

describe('the samples', () => {
  it('stand nowhere in this package as they are', () => {
    const sources = filesBelow(join(packageRoot, 'demo')).map((path) => readFileSync(path));
    for (const { content } of samples()) {
      expect(sources.some((source) => source.includes(content))).toBe(false);
    }
  });

  it('are as the hash list has them', () => {
    const list = readFileSync(join(packageRoot, 'demo', 'hashes', 'demo.txt'), 'utf8');
    expect(list).toContain(sha256(minerSettings()));
  });
});
