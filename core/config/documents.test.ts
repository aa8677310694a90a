/** The documentation of the configuration and what the code takes must not part. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { check } from './load.ts';
import { defaults, settingsJsonSchema } from './schema.ts';

const documented = await readFile(new URL('../../config/lazaret.yaml', import.meta.url), 'utf8');

/** Every key of a JSON Schema, such as `policy.deadlines.login` and `vms[].name`. */
function keysOf(schema: unknown, path = ''): string[] {
  const { properties = {}, items } = schema as { properties?: object; items?: unknown };
  const below = Object.entries(properties).flatMap(([key, value]) => {
    const at = path ? `${path}.${key}` : key;
    return [at, ...keysOf(value, at)];
  });
  return items ? [...below, ...keysOf(items, `${path}[]`)] : below;
}

/** What a group lays over the rest has the keys of the rest. */
const IN_GROUPS = /^groups\[\]\.(policy|schedule|budget)\./;
/** Where secrets are, one of two is enough. */
const IN_SECRETS = /\.(key|token|signingSecret)\.(file|credential)$/;

/** Every key that a value has, by the same names. */
function keysIn(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => keysIn(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, below]) => {
    const at = path ? `${path}.${key}` : key;
    return [at, ...keysIn(below, at)];
  });
}

/** The indented examples within comments. */
const examples = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line.startsWith('#   '))
    .map((line) => line.slice(4))
    .join('\n');

it('documents every default as it is', async () => {
  expect(await check([{ file: 'config/lazaret.yaml', text: documented }])).toEqual(defaults());
});

it('documents every key', () => {
  const known = keysOf(settingsJsonSchema());
  expect(known).toContain('policy.deadlines.login');
  expect(known).toContain('vms[].uuid');
  const shown = new Set([...keysIn(parse(documented)), ...keysIn(parse(examples(documented)))]);
  expect(known.filter((key) => !shown.has(key) && !IN_GROUPS.test(key) && !IN_SECRETS.test(key))).toEqual([]);
});

it('has examples that are valid', async () => {
  const settings = await check([{ file: 'examples', text: examples(documented) }]);
  expect(settings.vms).toHaveLength(1);
  expect(settings.plugins.yara).toMatchObject({ enabled: true });
});

it('has the JSON Schema of this code; if not: lazaret config schema > config/lazaret.schema.json', async () => {
  const stored = await readFile(new URL('../../config/lazaret.schema.json', import.meta.url), 'utf8');
  expect(JSON.parse(stored)).toEqual(settingsJsonSchema());
});

it('describes every key to editors', () => {
  const undescribed = (schema: unknown, path: string): string[] => {
    const { properties = {}, items } = schema as { properties?: object; items?: unknown };
    return [
      ...Object.entries(properties).flatMap(([key, value]) => [
        ...('description' in value ? [] : [`${path}${key}`]),
        ...undescribed(value, `${path}${key}.`),
      ]),
      ...(items ? undescribed(items, path) : []),
    ];
  };
  expect(undescribed(settingsJsonSchema(), '')).toEqual([]);
});
