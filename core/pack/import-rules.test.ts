import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildPack } from './build.ts';
import { importRules } from './import-rules.ts';

let base: string;
let rules: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'lazaret-import-'));
  rules = join(base, 'rules');
  mkdirSync(join(rules, 'linux'), { recursive: true });
  writeFileSync(join(rules, 'linux/a.yar'), 'rule A { condition: false }');
  writeFileSync(join(rules, 'LICENSE'), 'MIT');
  writeFileSync(join(rules, 'notes.doc'), 'nothing');
});
afterEach(() => rmSync(base, { recursive: true }));

const request = (more: object = {}) => ({
  rules,
  directory: join(base, 'pack'),
  vendor: 'acme',
  id: 'rules',
  licence: 'MIT',
  now: 0,
  ...more,
});

it('takes rules and licences, and makes what pack build takes', async () => {
  expect(await importRules(request())).toBe(1);
  const { manifest, updated } = await buildPack({ directory: join(base, 'pack') });
  expect(updated).toBe(true);
  expect(manifest).toMatchObject({
    vendor: 'acme',
    id: 'rules',
    serial: 1,
    expires: '1971-01-01T00:00:00.000Z',
  });
  expect(manifest.files.map(({ path, type }) => [path, type])).toEqual([
    ['LICENSE', 'text'],
    ['linux/a.yar', 'yara'],
  ]);
  expect(readFileSync(join(base, 'pack/linux/a.yar'), 'utf8')).toContain('rule A');
});

it.each<[string, () => void, object]>([
  ['not-found', () => rmSync(join(rules, 'linux/a.yar')), {}],
  ['unreadable', () => undefined, { rules: '/nowhere' }],
  ['unreadable', () => mkdirSync(join(base, 'pack')), {}],
  ['unreadable', () => symlinkSync('/etc/passwd', join(rules, 'b.yar')), {}],
  ['unreadable', () => symlinkSync('..', join(rules, 'linux/up')), {}],
  ['unreadable', () => symlinkSync('nowhere', join(rules, 'gone.yar')), {}],
  ['bad-manifest', () => writeFileSync(join(rules, 'a(1).yar'), ''), {}],
  ['bad-manifest', () => undefined, { vendor: 'ACME' }],
])('is refused as %s', async (code, prepare, more) => {
  prepare();
  await expect(importRules(request(more))).rejects.toMatchObject({ name: 'PackError', code });
  expect(existsSync(join(base, 'pack/pack.json'))).toBe(false);
});
