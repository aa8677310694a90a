/** The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1), made of the schemas that requests are held to. */
import type { FastifyDynamicSwaggerOptions, SwaggerTransformObject } from '@fastify/swagger';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { version } from '../../version.ts';
import { VIEWS } from '../views.ts';
import { ACCESS, type RouteKey } from './access.ts';

const DESCRIPTION = [
  'What the daemon of Lazaret offers on its unix socket, and over TLS where that is configured.',
  'Times are milliseconds since 1970, sizes bytes. Names and paths may come from guests: they are data, and a path is',
  'text or {"b64": the base64 of its bytes}. Every error has the shape {"error": {code, message}}.',
].join('\n');

export const openApiOptions = (): FastifyDynamicSwaggerOptions => ({
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'Lazaret',
      version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        // Of OpenAPI 3.1, which the types of this library do not know.
        certificate: { type: 'mutualTLS', description: 'A configured one.' } as never,
      },
    },
  },
  transform: createJsonSchemaTransform({ schemaRegistry: VIEWS }),
  transformObject: (document) => onlyReferenced(withOptionalBodies(withViews(document))),
});

const withViews = createJsonSchemaTransformObject({ schemaRegistry: VIEWS });

type Document = ReturnType<SwaggerTransformObject>;

interface Operation {
  readonly requestBody?: {
    required?: boolean;
    readonly content: Readonly<Record<string, { schema: { readonly anyOf?: readonly object[] } }>>;
  };
}

/** A body that may be left out is known by its schema alone, which takes null for none. */
function withOptionalBodies(document: Document): Document {
  const { paths = {} } = document as { paths?: Record<string, Record<string, Operation>> };
  for (const { requestBody } of Object.values(paths).flatMap((path) => Object.values(path))) {
    const media = requestBody?.content['application/json'];
    const isNull = (schema: object): boolean => 'type' in schema && schema.type === 'null';
    const given = media?.schema.anyOf?.filter((schema) => !isNull(schema));
    if (!requestBody || !media || given?.length !== 1 || given.length === media.schema.anyOf?.length)
      continue;
    requestBody.required = false;
    media.schema = given[0] as typeof media.schema;
  }
  return document;
}

/** Every view comes as what is sent and as what is taken, and most are only ever sent. */
function onlyReferenced(document: Document): Document {
  const { components } = document as { components?: { schemas?: Record<string, unknown> } };
  const schemas = components?.schemas ?? {};
  const reached = new Set<string>();
  const follow = (value: unknown): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (reached.has(name)) continue;
      reached.add(name);
      follow(schemas[name]);
    }
  };
  follow({ ...document, components: {} });
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => reached.has(name)));
  return { ...document, components: { ...components, schemas: kept } } as Document;
}

/** What the document says of a route besides its schemas. */
export function described(key: RouteKey, summary: string): object {
  const needed = ACCESS[key];
  const [method = '', url = ''] = key.split(' ');
  return {
    summary,
    description: needed === 'anyone' ? 'Needs no token.' : `Needs the role ${needed}.`,
    operationId: operationId(method, url),
    tags: [url.split('/')[url.startsWith('/v1/') ? 2 : 1]],
    security: needed === 'anyone' ? [] : [{ token: [] }, { certificate: [] }],
  };
}

/** `POST /v1/vms/:vm/start` is `postVmsVmStart`. */
const operationId = (method: string, url: string): string =>
  method.toLowerCase() +
  url
    .replace('/v1/', '/')
    .replace('.json', '')
    .split('/')
    .filter(Boolean)
    .map((part) => part.replace(':', ''))
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
