/** What no manifest may say, whoever signed it. */
import { expect, it } from 'vitest';
import { parseManifest } from './manifest.ts';

it.each([
  ['two paths that differ in case only', ['rules/a.yar', 'rules/A.yar']],
  ['a file below a file', ['rules/a', 'rules/a/b.yar']],
  ['a file below its manifest', ['pack.json/a.yar']],
  ['a path that leads out', ['../a.yar']],
  ['an absolute path', ['/etc/a.yar']],
  ['its own signature', ['pack.json.minisig']],
])('refuses a manifest with %s', (_, paths) => {
  const files = paths.map((path) => ({ path, type: 'yara', sha256: 'a'.repeat(64), size: 1 }));
  const times = { created: '2026-01-01T00:00:00Z', expires: '2027-01-01T00:00:00Z' };
  const names = { vendor: 'acme', id: 'rules', version: '1', licence: 'MIT' };
  const api = { minimum: 1, maximum: 1 };
  const parse = (more: object) =>
    parseManifest(
      Buffer.from(JSON.stringify({ schema: 1, serial: 1, ...names, ...times, api, files, ...more })),
    );
  expect(parse({ files: [{ path: 'a.yar', type: 'yara', sha256: 'a'.repeat(64), size: 1 }] }).serial).toBe(1);
  expect(() => parse({})).toThrow(expect.objectContaining({ code: 'bad-manifest' }));
  expect(() => parse({ schema: 2 })).toThrow(expect.objectContaining({ code: 'unsupported-schema' }));
  expect(() =>
    parse({
      files: [{ path: 'a', type: 'yara', sha256: 'a'.repeat(64), size: 1 }],
      api: { minimum: 2, maximum: 3 },
    }),
  ).toThrow(expect.objectContaining({ code: 'unsupported-api' }));
});
