/** One route: its place in the table of access, its schemas, and the operation that answers it. */
import { z } from 'zod';
import type { Operations } from '../operations.ts';
import type { Identity, RouteKey } from './access.ts';

export interface Input<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** Who asks. */
  readonly by: Identity;
}

export interface Route<Params = unknown, Query = unknown, Body = unknown, Answer = unknown> {
  readonly key: RouteKey;
  /** One sentence for the OpenAPI document. */
  readonly summary: string;
  readonly params?: z.ZodType<Params>;
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** Default: 200, and 204 where nothing is answered. */
  readonly status?: 200 | 202;
  readonly answer?: z.ZodType<Answer>;
  run(operations: Operations, input: Input<Params, Query, Body>): Promise<Answer>;
}

/** Holds the types of one route together; to the server all are alike. */
export const route = <Params, Query, Body, Answer>(one: Route<Params, Query, Body, Answer>): Route =>
  one as unknown as Route;

/** A name or id, as it comes: what it names is looked up, never built upon. */
export const name = z.string().min(1).max(256);

export const ofVm = z.strictObject({ vm: name.describe('Name or id of a VM.') });
export const ofId = z.strictObject({ id: name });

export const MOST_ITEMS = 500;
const limit = z.coerce.number().int().min(1).max(MOST_ITEMS).default(100);
const before = name.exactOptional().describe('The `next` of the page before.');

export const vmPage = z.strictObject({
  limit,
  before,
  vm: name.exactOptional().describe('Of this VM only, by its name or id.'),
});
