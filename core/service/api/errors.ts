/** Errors as callers get them: one shape, and for each code its status. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { CodedError, type ProtocolErrorCode } from '../../../protocol/index.ts';
import type { PluginErrorCode } from '../../api/error.ts';
import type { ChannelErrorCode } from '../../channel/error.ts';
import type {
  ConfigErrorCode,
  EnrolmentErrorCode,
  EventErrorCode,
  InstructionErrorCode,
  PatchErrorCode,
  ScanErrorCode,
  StoreErrorCode,
} from '../../error.ts';
import type { HypervisorErrorCode } from '../../hypervisor/error.ts';
import type { PackErrorCode } from '../../pack/error.ts';
import { ApiError, type ApiErrorCode, type OperationErrorCode } from '../error.ts';
import { VIEWS } from '../views.ts';

export const ErrorAnswer = z
  .object({ error: z.object({ code: z.string(), message: z.string(), next: z.string().exactOptional() }) })
  .register(VIEWS, {
    id: 'ErrorAnswer',
    description: 'What went wrong: a code from a closed list, and what to do.',
  });
export type ErrorAnswer = z.output<typeof ErrorAnswer>;

type Code =
  | OperationErrorCode
  | ApiErrorCode
  | StoreErrorCode
  | ChannelErrorCode
  | ScanErrorCode
  | InstructionErrorCode
  | ConfigErrorCode
  | EnrolmentErrorCode
  | HypervisorErrorCode
  | EventErrorCode
  | PatchErrorCode
  | PackErrorCode
  | PluginErrorCode
  | ProtocolErrorCode;

/** 4xx: the caller can do something about it. 502: the guest, or the way to it. 503: later. 500: this host. */
export const STATUS: Readonly<Record<Code, number>> = {
  'bad-request': 400,
  unauthenticated: 401,
  forbidden: 403,
  'no-such-route': 404,
  'too-large': 413,
  'unsupported-media-type': 415,
  'too-many-requests': 429,
  'too-many-connections': 503,
  'cannot-listen': 500,
  'bad-options': 500,
  'no-answer': 502,
  'slow-reader': 503,
  'spool-full': 503,
  'vault-full': 503,
  'not-recorded': 503,
  stopped: 503,
  internal: 500,

  'not-enrolled': 409,
  suspended: 409,
  'token-used': 409,
  'token-expired': 409,
  'token-foreign': 409,
  'token-unknown': 409,
  'unknown-vm': 404,
  'ambiguous-vm': 409,
  'unknown-scan': 404,
  'unknown-file': 404,
  'unknown-enrolment': 404,
  'wrong-state': 409,
  'not-supported': 409,
  'not-connected': 409,
  'shutting-down': 503,

  'not-found': 404,
  'in-use': 409,
  'not-writable': 500,
  'not-private': 500,
  corrupt: 500,
  unfit: 500,
  'newer-version': 500,
  'write-failed': 500,
  'reader-gone': 500,
  'no-detectors': 409,
  'not-permitted': 409,
  'spool-failed': 500,
  'too-slow': 502,
  invalid: 422,
  unreadable: 422,

  'connect-failed': 502,
  'no-agent': 502,
  'tls-failed': 502,
  'key-changed': 409,
  'login-failed': 502,
  'identity-mismatch': 409,
  silent: 502,
  'protocol-violation': 502,
  'unreadable-outcome': 502,
  refused: 409,
  'session-lost': 502,
  cancelled: 409,
  'not-granted': 409,
  protected: 409,
  'dry-run': 409,
  mode: 409,
  'outcome-unknown': 502,
  'message-too-large': 502,
  'malformed-message': 502,
  'malformed-path': 400,
  'malformed-record': 502,
  'record-out-of-turn': 502,
  'resync-overflow': 502,

  'library-missing': 503,
  'connection-failed': 503,
  'hypervisor-timeout': 502,
  'no-such-domain': 404,
  'no-such-snapshot': 404,
  'snapshot-exists': 409,
  'not-running': 409,
  'still-running': 409,
  'port-in-use': 409,
  'unreadable-xml': 502,
  'invalid-request': 400,
  closed: 503,

  'not-known': 404,
  'not-pending': 404,
  'bad-fingerprint': 400,
  'bad-lifetime': 400,

  malformed: 422,
  'bad-manifest': 422,
  'unsupported-schema': 422,
  'unsupported-api': 422,
  unsigned: 422,
  'bad-signature': 422,
  'untrusted-key': 422,
  'wrong-hash': 422,
  'missing-file': 422,
  'extra-file': 422,
  expired: 422,
  'serial-went-back': 409,
  'no-detector': 409,
  'bad-signatures': 422,
  'test-failed': 422,
  'flags-known-good': 422,
  'bad-key': 422,
  'bad-package': 422,
  'bad-bundle': 422,
  'engine-unavailable': 503,
  'engine-failed': 500,
};

/** Codes of what refuses a request before it is looked at. */
const OF_STATUS: Readonly<Record<number, ApiErrorCode>> = {
  404: 'no-such-route',
  413: 'too-large',
  414: 'too-large',
  415: 'unsupported-media-type',
  431: 'too-large',
};

export interface Told {
  readonly status: number;
  readonly body: ErrorAnswer;
  /** Nobody foresaw it: it is for the log, and not for the caller. */
  readonly unforeseen: boolean;
}

/** What a caller is told of an error. A coded error was written for readers; any other one stays here. */
export function told(error: unknown): Told {
  const coded = error instanceof CodedError ? error : refusalOf(error as Partial<FastifyError>);
  if (coded) {
    const status = Object.hasOwn(STATUS, coded.code) ? STATUS[coded.code as Code] : 500;
    return { status, body: { error: { code: coded.code, message: coded.message } }, unforeseen: false };
  }
  const message = 'the daemon met an error that nobody foresaw';
  const next = "look for it in the daemon's log, and report it";
  return { status: 500, body: { error: { code: 'internal', message, next } }, unforeseen: true };
}

/** An error of the HTTP layer that tells of the request, not of us. */
function refusalOf({ statusCode, message, validation }: Partial<FastifyError>): ApiError | undefined {
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return undefined;
  const code = OF_STATUS[statusCode] ?? 'bad-request';
  const hint = validation ? ': see GET /v1/openapi.json' : '';
  return new ApiError(code, `${message ?? 'the request cannot be read'}${hint}`);
}

/** For `setErrorHandler`; `note` is given every error with what was told of it. */
export const errorHandler =
  (note: (error: unknown, told: Told, request: FastifyRequest) => void) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const answer = told(error);
    note(error, answer, request);
    reply.code(answer.status).type('application/json; charset=utf-8');
    // As text: a route's own schemas speak of what it answers with when all is well.
    reply.serializer((body: unknown) => JSON.stringify(body)).send(answer.body);
  };
