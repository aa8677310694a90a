import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ACCESS } from './access.ts';
import { openApiDocument } from './document.ts';

/** What OpenAPI 3.1 asks of a document, as far as this one has it; the words of the specification. */
const Schema = z.union([z.boolean(), z.record(z.string(), z.unknown())]);
const MediaType = z.strictObject({ schema: Schema });
const Content = z.record(z.string().regex(/^[a-z]+\/[a-z0-9.+-]+(; .*)?$/), MediaType);
const Parameter = z.strictObject({
  name: z.string(),
  in: z.enum(['query', 'path', 'header', 'cookie']),
  required: z.boolean(),
  schema: Schema,
  description: z.string().optional(),
});
const Operation = z.strictObject({
  operationId: z.string(),
  summary: z.string(),
  description: z.string(),
  tags: z.array(z.string()).min(1),
  parameters: z.array(Parameter).optional(),
  requestBody: z
    .strictObject({ required: z.boolean().optional(), content: Content, description: z.string().optional() })
    .optional(),
  responses: z.record(
    z.string().regex(/^([1-5]\d\d|default)$/),
    z.strictObject({ description: z.string(), content: Content.optional() }),
  ),
  security: z.array(z.record(z.string(), z.array(z.string()))),
});
const Document = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  servers: z.array(z.looseObject({ url: z.string() })),
  components: z.strictObject({
    schemas: z.record(z.string().regex(/^[\w.-]+$/), Schema),
    securitySchemes: z.record(z.string(), z.looseObject({ type: z.string() })),
  }),
  paths: z.record(
    z.string().startsWith('/'),
    z.record(z.enum(['get', 'post', 'delete']), Operation.optional()),
  ),
});

describe('the OpenAPI document', async () => {
  const raw = JSON.parse(JSON.stringify(await openApiDocument()));
  const document = Document.parse(raw);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      operation ? [{ path, method, operation }] : [],
    ),
  );

  it('has every route of the table, and says who may use it', () => {
    const keys = operations.map(
      ({ path, method }) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`,
    );
    expect(keys.toSorted()).toEqual(Object.keys(ACCESS).toSorted());
    const open = operations.filter(({ operation }) => operation.security.length === 0);
    expect(open.map(({ path }) => path)).toEqual(['/livez']);
  });

  it('names each operation once, and every parameter of its path', () => {
    expect(new Set(operations.map(({ operation }) => operation.operationId)).size).toBe(operations.length);
    for (const { path, operation } of operations) {
      const inPath = operation.parameters?.filter((one) => one.in === 'path').map(({ name }) => name) ?? [];
      expect(inPath.toSorted()).toEqual(
        Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name).toSorted(),
      );
    }
  });

  it('refers to what there is, and has nothing besides', () => {
    const text = JSON.stringify(raw);
    const referred = new Set(Array.from(text.matchAll(/"\$ref":"([^"]+)"/g), ([, to]) => to));
    expect([...referred].toSorted()).toEqual(
      Object.keys(document.components.schemas)
        .map((name) => `#/components/schemas/${name}`)
        .toSorted(),
    );
  });

  it('is the one that is checked in: lazaret api schema > docs/openapi.json', async () => {
    const file = new URL('../../../docs/openapi.json', import.meta.url);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(raw);
  });
});
