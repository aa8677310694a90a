/**
 * Commands and responses: OpenC2 Language 1.0 JSON in the message of its HTTPS transfer specification 1.1
 * (https://docs.oasis-open.org/openc2/). Content type `application/openc2+json;version=1.0`.
 *
 * The targets `file` and `process` are OpenC2's own; what a target must still be, so that nothing else is
 * acted upon, stands in its Lazaret properties. Every acting command carries its id, the session's
 * epoch and an expiry on the host's clock; the agent answers a repeated id with the first outcome.
 */
import { z } from 'zod';
import { ProtocolError } from './error.ts';
import { explain, parseMessage } from './json.ts';
import { Features, sha256, wireBytes } from './messages.ts';
import { fileTime, uint32, uint64 } from './numbers.ts';
import { displayText, type WireBytes } from './path.ts';

export const OPENC2_CONTENT_TYPE = 'application/openc2+json;version=1.0';

const label = z.string().max(256);

/** One file as the verdict saw it. */
export const FileTarget = z.object({ path: wireBytes, dev: uint64, ino: uint64, sha256 });
export type FileTarget = z.output<typeof FileTarget>;

/** One process as the verdict saw it: never just a pid, which may be someone else's by now. */
export const ProcessTarget = z.object({
  pid: uint32.min(1),
  start: uint64,
  executable: z.object({ dev: uint64, ino: uint64 }),
});
export type ProcessTarget = z.output<typeof ProcessTarget>;

/** Names of extended attributes are bytes too, of which the kernel takes 255. */
const attributeName: z.ZodType<WireBytes> = z.union([label, z.strictObject({ b64: z.base64().max(512) })]);

/** How a file was, apart from its content; what containment returns and restoring takes. */
export const FileState = z.object({
  mode: uint32,
  uid: uint32,
  gid: uint32,
  atime: fileTime,
  mtime: fileTime,
  xattrs: z.array(z.object({ name: attributeName, value: z.base64().max(131_072) })).max(128),
});
export type FileState = z.output<typeof FileState>;

/** A file to be put where none must be. Its content was staged under `sha256`. */
export const RestoreTarget = z.object({ path: wireBytes, sha256, state: FileState });
export type RestoreTarget = z.output<typeof RestoreTarget>;

/** A file to be replaced, or created where `expect` is null. `content` null removes it again. */
export const UpdateTarget = z
  .object({
    path: wireBytes,
    /** SHA-256 of what must stand there now; null: nothing. */
    expect: sha256.nullable(),
    /** SHA-256 of the staged content that takes its place; null: nothing. */
    content: sha256.nullable(),
    /** Of a created file; a replaced one keeps its own unless given. */
    mode: uint32.optional(),
    uid: uint32.optional(),
    gid: uint32.optional(),
  })
  .refine(
    (target) => target.expect !== null || target.content !== null,
    'an update needs an old or a new content',
  );
export type UpdateTarget = z.output<typeof UpdateTarget>;

/** The target that each acting instruction takes. */
export const TARGETS = {
  'stop:process': ProcessTarget,
  'contain:file': FileTarget,
  'delete:file': FileTarget,
  'restore:file': RestoreTarget,
  'update:file': UpdateTarget,
} as const;
export type Targets = { [Name in keyof typeof TARGETS]: z.output<(typeof TARGETS)[Name]> };

/** An acting command as code sees it: which instruction, on what. */
export type Instruction = {
  [Name in keyof Targets]: { readonly name: Name; readonly target: Targets[Name] };
}[keyof Targets];

/** An instruction with what makes it valid once, in one session of one guest, for a while. */
export interface SealedInstruction {
  readonly id: string;
  readonly epoch: number;
  /** Milliseconds since 1970 on the host's clock. */
  readonly expires: number;
  readonly instruction: Instruction;
}

const Seal = z.object({ epoch: z.int().min(0), expires: z.int().min(0) });

const CommandMessage = z.object({
  headers: z.object({ request_id: z.uuid(), created: z.int().optional() }),
  body: z.object({
    openc2: z.object({
      request: z.object({
        action: label,
        target: z.record(label, z.unknown()),
        args: z.object({ 'x-lazaret': Seal.optional() }).optional(),
        command_id: z.uuid().optional(),
      }),
    }),
  }),
});

/** A command as the agent understands it. */
export type Command =
  | { readonly kind: 'query-features'; readonly requestId: string }
  | { readonly kind: 'act'; readonly requestId: string; readonly sealed: SealedInstruction };

export function encodeFeatureQuery(requestId: string): unknown {
  const target = { features: ['versions', 'profiles', 'pairs', 'rate_limit'] };
  return { headers: { request_id: requestId }, body: { openc2: { request: { action: 'query', target } } } };
}

/** The message of a sealed instruction. A repetition has the same bytes, and so the same outcome. */
export function encodeCommand(sealed: SealedInstruction): unknown {
  const [action = '', target = ''] = sealed.instruction.name.split(':');
  const request = {
    action,
    target: { [target]: sealed.instruction.target },
    args: { 'x-lazaret': { epoch: sealed.epoch, expires: sealed.expires } },
    command_id: sealed.id,
  };
  return { headers: { request_id: sealed.id }, body: { openc2: { request } } };
}

/** Reads an untrusted command; throws `malformed-message`. */
export function decodeCommand(untrusted: Uint8Array): Command {
  const { headers, body } = parseMessage(CommandMessage, untrusted);
  const { action, target, args, command_id: id } = body.openc2.request;
  const [targetName = '', ...others] = Object.keys(target);
  const name = `${action}:${targetName}`;
  if (name === 'query:features') return { kind: 'query-features', requestId: headers.request_id };
  const seal = args?.['x-lazaret'];
  if (others.length > 0 || !isActingName(name) || !seal || !id) {
    throw new ProtocolError(
      'malformed-message',
      `no such command as ${displayText(name)}, or it is not sealed`,
    );
  }
  const checked = TARGETS[name].safeParse(target[targetName]);
  if (!checked.success) {
    throw new ProtocolError('malformed-message', `the target of ${name} does not fit its schema`, {
      cause: checked.error,
    });
  }
  const instruction = { name, target: checked.data } as Instruction;
  return { kind: 'act', requestId: headers.request_id, sealed: { id, ...seal, instruction } };
}

const isActingName = (name: string): name is Instruction['name'] => Object.hasOwn(TARGETS, name);

/** What an acting command came to. Status as in OpenC2: 200 done, 4xx refused, 500 failed. */
export const outcomeCodes = [
  'done',
  /** Refused, nothing was changed: */
  'not-granted',
  'denied',
  'expired',
  'wrong-epoch',
  'malformed',
  'not-staged',
  'protected',
  'vanished',
  'changed',
  'occupied',
  /** Tried and undone, or not possible: */
  'failed',
  /** The agent died while it worked and has put back what it could. */
  'interrupted',
] as const;
export type OutcomeCode = (typeof outcomeCodes)[number];

export const STATUS_OF: Readonly<Record<OutcomeCode, number>> = {
  done: 200,
  'not-granted': 403,
  denied: 403,
  expired: 408,
  'wrong-epoch': 409,
  malformed: 400,
  'not-staged': 409,
  protected: 403,
  vanished: 404,
  changed: 409,
  occupied: 409,
  failed: 500,
  interrupted: 500,
};

export const Outcome = z.object({
  code: z.enum(outcomeCodes),
  detail: z.string().max(1024).optional(),
  /** Of contain:file: how the file was. */
  state: FileState.optional(),
  /** Where a file that proved to be another one was put back, when its own name was taken meanwhile. */
  putBackAs: wireBytes.optional(),
});
export type Outcome = z.output<typeof Outcome>;

/**
 * What keeps this from being the outcome of such an instruction; undefined when nothing does. An agent asks before it
 * does what cannot be undone, for what cannot be told must not be done; a host asks it of what it was answered.
 */
export function outcomeFault(name: Instruction['name'], untrusted: unknown): string | undefined {
  const outcome = Outcome.safeParse(untrusted);
  if (!outcome.success) return explain(outcome.error);
  const lacksState = name === 'contain:file' && outcome.data.code === 'done' && !outcome.data.state;
  return lacksState ? 'it does not say how the contained file was' : undefined;
}

const response = <Results extends z.ZodType>(results: Results) =>
  z.object({
    headers: z.object({ request_id: z.uuid() }),
    body: z.object({ openc2: z.object({ response: z.object({ status: z.int(), results }) }) }),
  });

export const FeaturesResponse = response(Features);
export const OutcomeResponse = response(z.object({ 'x-lazaret': Outcome }));
/** The same before it is known what it says. */
export const AnyResponse = response(z.unknown());

export function encodeFeatures(requestId: string, features: Features): unknown {
  return {
    headers: { request_id: requestId },
    body: { openc2: { response: { status: 200, results: features } } },
  };
}

export function encodeOutcome(requestId: string, outcome: Outcome): unknown {
  const results = { 'x-lazaret': outcome };
  const status = STATUS_OF[outcome.code];
  return { headers: { request_id: requestId }, body: { openc2: { response: { status, results } } } };
}
