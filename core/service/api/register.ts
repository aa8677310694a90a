/** Gives the server its routes; each must stand in the table of access. */
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ApiError } from '../error.ts';
import { HealthView, PackChangeView, ScanEvent } from '../views.ts';
import type { RouteKey } from './access.ts';
import type { AppParts } from './app.ts';
import { ErrorAnswer } from './errors.ts';
import { follow } from './follow.ts';
import { described } from './openapi.ts';
import { ofId, type Route } from './route.ts';
import { JSON_ROUTES } from './routes.ts';
import { withUpload } from './upload.ts';

export async function registerRoutes(app: FastifyInstance, parts: AppParts): Promise<void> {
  for (const route of JSON_ROUTES) jsonRoute(app, route, parts);
  probes(app, parts);
  events(app, parts);
  // A scope of its own: nothing but a pack is read as bytes.
  await app.register(async (scope) => packUpload(scope, parts));
  document(app);
}

const OTHERWISE = { default: ErrorAnswer };

function placeOf(key: RouteKey, summary: string, schema: object) {
  const [method = '', url = ''] = key.split(' ');
  return { method, url, config: { access: key }, schema: { ...described(key, summary), ...schema } };
}

function jsonRoute(app: FastifyInstance, route: Route, { operations }: AppParts): void {
  const { key, summary, params, query, body, answer } = route;
  const status = route.status ?? (answer instanceof z.ZodUndefined ? 204 : 200);
  const response = { [status]: answer, ...OTHERWISE };
  const schema = {
    ...(params && { params }),
    ...(query && { querystring: query }),
    ...(body && { body }),
    response,
  };
  app.route({
    ...placeOf(key, summary, schema),
    handler: async (request, reply) => {
      if (!body) refuseBody(request.body);
      const { params, query, identity } = request;
      if (!identity) throw new ApiError('unauthenticated', 'nobody is known to ask for this');
      const input = { params, query, body: request.body, by: identity };
      const result = await route.run(operations, input);
      return reply.code(status).send(status === 204 ? undefined : result);
    },
  });
}

/** What a caller says where nothing is read would be taken for heard. */
function refuseBody(untrustedBody: unknown): void {
  const says =
    untrustedBody !== undefined && untrustedBody !== null && JSON.stringify(untrustedBody) !== '{}';
  if (says)
    throw new ApiError(
      'bad-request',
      'this takes no body: what it can be told goes into the address (GET /v1/openapi.json)',
    );
}

/** For those who watch over the daemon: https://kubernetes.io/docs/reference/using-api/health-checks/. */
function probes(app: FastifyInstance, { operations }: AppParts): void {
  const Live = z.object({ live: z.boolean() });
  app.route({
    ...placeOf('GET /livez', 'Whether the daemon works at all.', {
      response: { 200: Live, 503: Live, ...OTHERWISE },
    }),
    handler: async (_request, reply) => {
      const { live } = await operations.health();
      return reply.code(live ? 200 : 503).send({ live });
    },
  });
  app.route({
    ...placeOf('GET /readyz', 'Whether the daemon does all that it should, and what is in the way.', {
      response: { 200: HealthView, 503: HealthView, ...OTHERWISE },
    }),
    handler: async (_request, reply) => {
      const health = await operations.health();
      return reply.code(health.ready ? 200 : 503).send(health);
    },
  });
  const text = { 'text/plain; version=0.0.4; charset=utf-8': { schema: z.string() } };
  app.route({
    ...placeOf('GET /metrics', 'Figures, in the text format of Prometheus.', {
      response: { 200: { description: 'Figures', content: text }, ...OTHERWISE },
    }),
    handler: async (_request, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8').serializer((body: unknown) => String(body));
      return reply.send(await operations.metrics());
    },
  });
}

function events(app: FastifyInstance, parts: AppParts): void {
  const stream = { 'text/event-stream': { schema: ScanEvent } };
  const summary = 'Follows a scan by server-sent events, from now on until it has ended.';
  const response = { 200: { description: 'Events, one in each data', content: stream }, ...OTHERWISE };
  const followers = { now: 0 };
  app.route({
    ...placeOf('GET /v1/scans/:id/events', summary, { params: ofId, response }),
    handler: (request, reply) =>
      follow(request as FastifyRequest<{ Params: { id: string } }>, reply, parts, followers),
  });
}

const PACK = 'application/octet-stream';

function packUpload(scope: FastifyInstance, { operations, limits, uploads }: AppParts): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(PACK, (_request, payload, done) => done(null, payload));
  let under = 0;
  scope.route({
    ...placeOf('POST /v1/packs', 'Verifies a pack, a .tar.zst, tries it, and uses it.', {
      consumes: [PACK],
      body: z.unknown(),
      response: { 200: PackChangeView, ...OTHERWISE },
    }),
    bodyLimit: limits.packBytes,
    handler: async ({ body }) => {
      if (!(body instanceof Readable)) throw new ApiError('bad-request', `send the pack itself, as ${PACK}`);
      if (under >= limits.uploads)
        throw new ApiError('too-many-requests', `${under} packs are arriving: try again when one is in use`);
      under += 1;
      try {
        const place = { directory: uploads, most: limits.packBytes };
        return await withUpload(body, place, (path) => operations.installPack(path));
      } finally {
        under -= 1;
      }
    },
  });
}

function document(app: FastifyInstance): void {
  app.route({
    ...placeOf('GET /v1/openapi.json', 'This document.', {
      response: { 200: z.record(z.string(), z.unknown()), ...OTHERWISE },
    }),
    handler: async () => app.swagger() as unknown as Record<string, unknown>,
  });
}
