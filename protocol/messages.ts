/**
 * Every JSON message of the contract except commands (`openc2.ts`). How numbers of the guest's kernel travel
 * says `numbers.ts`.
 *
 *   POST /lazaret/v1/login      NDJSON both ways, as long as the session lives
 *   POST /lazaret/v1/grant      Grant → 204
 *   POST /lazaret/v1/openc2     Command → Response
 *   POST /lazaret/v1/files      InventoryRequest, a newline, digests of known lines → a page: NDJSON of InventoryLine
 *   POST /lazaret/v1/files/ID   empty → the next page of the walk ID
 *   DELETE /lazaret/v1/files/ID ends the walk ID → 204
 *   POST /lazaret/v1/content    ContentRequest → records (`records.ts`)
 *   POST /lazaret/v1/digests    ContentRequest → NDJSON of DigestLine
 *   POST /lazaret/v1/processes  ProcessRequest, or empty → a page, or all: NDJSON of ProcessLine
 *   POST /lazaret/v1/pieces     PieceRequest → NDJSON of PieceLine
 *   PUT  /lazaret/v1/staged/ID  content for restore:file or update:file, ID its SHA-256 → 204
 *
 * A refused request is answered with its HTTP status and a Refusal.
 */
import { z } from 'zod';
import { ProtocolError } from './error.ts';
import { INSTRUCTION_NAMES } from './instructions.ts';
import { LIMITS } from './limits.ts';
import { fileSize, fileTime, uint32, uint64 } from './numbers.ts';
import { lengthOf, type WireBytes } from './path.ts';

export const PROTOCOL_VERSION = 1;

export const ROUTES = {
  login: '/lazaret/v1/login',
  grant: '/lazaret/v1/grant',
  openc2: '/lazaret/v1/openc2',
  files: '/lazaret/v1/files',
  walk: '/lazaret/v1/files/',
  content: '/lazaret/v1/content',
  digests: '/lazaret/v1/digests',
  pieces: '/lazaret/v1/pieces',
  processes: '/lazaret/v1/processes',
  staged: '/lazaret/v1/staged/',
} as const;

const size = z.int().min(0);
const label = z.string().max(256);
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const wireBytes: z.ZodType<WireBytes> = z.union([
  z.string().max(LIMITS.commandLineBytes),
  z.strictObject({ b64: z.base64().max(LIMITS.commandLineBytes * 2) }),
]);

/** HTTP status and reason of a refused request. */
export const refusalCodes = {
  'not-logged-in': 403,
  'host-key-changed': 403,
  'not-granted': 403,
  denied: 403,
  'bad-request': 400,
  'too-large': 413,
  'no-such-route': 404,
  busy: 429,
  failed: 500,
} as const;
export const Refusal = z.strictObject({
  code: z.enum(Object.keys(refusalCodes) as (keyof typeof refusalCodes)[]),
  message: label,
});
export type Refusal = z.output<typeof Refusal>;

// ---- login

/** The agent's first line. */
export const LoginRequest = z.object({
  type: z.literal('login'),
  protocol: z.array(uint32).min(1).max(16),
  agent: z.object({ id: z.uuid(), version: label }),
  /**
   * As the firmware tells it (DMI product_uuid); absent where there is none, as in a container. Any 128 bits:
   * not every hypervisor heeds the versions of RFC 9562.
   */
  smbiosUuid: z.guid().optional(),
  machineId: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
  bootId: z.uuid(),
  /** That the agent has tokens (`enrolment.ts`), in the order in which it found them. A host that wants none ignores it. */
  enrolment: z.object({ proofs: z.array(sha256).min(1).max(LIMITS.enrolmentProofs) }).optional(),
});
export type LoginRequest = z.output<typeof LoginRequest>;

/** Sent by the agent at once when it was accepted, which confirms the session, and then while it lives. */
export const Heartbeat = z.object({ type: z.literal('heartbeat') });

export const AgentLine = z.discriminatedUnion('type', [LoginRequest, Heartbeat]);
export type AgentLine = z.output<typeof AgentLine>;

export const loginRefusalCodes = ['unknown-protocol', 'identity-mismatch', 'not-enrolled'] as const;

export const LoginAnswer = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('accept'),
    session: z.uuid(),
    /** Minted by the host at each start or restore of the guest; a command of another epoch is refused. */
    epoch: size,
    /** The host's clock, milliseconds since 1970: expiries are given on it, the guest's own may be wrong. */
    hostTime: size,
  }),
  z.object({ type: z.literal('refuse'), code: z.enum(loginRefusalCodes), message: label }),
]);
export type LoginAnswer = z.output<typeof LoginAnswer>;

// ---- instruction set

/** What the agent's bulk work (listings, contents, digests, processes) may cost the guest; commands are not held to it. */
export const Budget = z.object({
  /** CPU time of the agent's process, in percent of one core. */
  cpuPercent: z.number().min(LIMITS.leastCpuPercent).max(100).optional(),
  /** Bytes of files, from the disk or out of memory. */
  readBytesPerSecond: z.int().min(LIMITS.leastReadBytesPerSecond).optional(),
});
export type Budget = z.output<typeof Budget>;
export const budgetNames = Object.keys(Budget.shape);

/** The instruction set granted to this guest for this session. The agent refuses what is not in it. */
export const Grant = z.object({
  id: label,
  instructions: z.array(z.enum(INSTRUCTION_NAMES)).max(64),
  /** Without it, work is done as fast as it can be. */
  budget: Budget.optional(),
});
export type Grant = z.output<typeof Grant>;

/** The results of `query features`: OpenC2's own members, and what Lazaret needs to know besides. */
export const Features = z.object({
  versions: z.array(label).max(8),
  profiles: z.array(label).max(8),
  pairs: z.record(label, z.array(label).max(64)),
  rate_limit: z.number().min(0).optional(),
  'x-lazaret': z.object({
    os: z.object({ id: label, version: label, name: label, kernel: label, arch: label }),
    init: label,
    /** The guest's own clock, milliseconds since 1970: the times of its files are told by it. */
    clock: size.optional(),
    packageManager: label.optional(),
    privileges: z.object({ uid: uint32, root: z.boolean() }),
    /** Mounted file systems that can hold files of the guest: mount point and type. */
    fileSystems: z.array(z.object({ path: wireBytes, type: label })).max(LIMITS.fileSystems),
    /** There are more than could be told: those come after all that are named. */
    moreFileSystems: uint32.optional(),
    /** Instructions that the guest's administrator denies, which are therefore not among the pairs. */
    denied: z.array(label).max(64),
    limits: z.object({ stagedBytes: size, contentFiles: uint32 }),
    /** The members of a grant's budget that the agent keeps to; absent in one that knows of none. */
    budgets: z.array(label).max(16).optional(),
  }),
});
export type Features = z.output<typeof Features>;

// ---- files

export const InventoryRequest = z.object({
  roots: z.array(wireBytes).min(1).max(64),
  /** Directories and files that are left out, with all below. */
  excludes: z.array(wireBytes).max(256),
  /** Do not cross into other file systems than those of the roots. */
  oneFileSystem: z.boolean(),
  /**
   * Types of file systems that are listed, as /proc/self/mountinfo names them; `fuse` stands for `fuse.sshfs` too. What
   * is mounted below a root and is of another type is left out, and told by a line. Without it all are listed.
   */
  fileSystems: z.array(label).max(LIMITS.fileSystemTypes).optional(),
  maxEntries: size,
  maxDepth: uint32,
  maxSeconds: uint32,
  /** Links on the way to a root are followed, and a line says so. Below a root none ever is. */
  followRoots: z.boolean().optional(),
  /**
   * For learning which files the guest rests on: every directory has a line, with who may change it and with its
   * symbolic links; of one that others than root may change, nothing is listed. Root is who owns the guest's `/`.
   */
  survey: z.boolean().optional(),
});
export type InventoryRequest = z.output<typeof InventoryRequest>;

/** SHA-256 over the bytes of a `directory` line without its newline, cut to 16 bytes, in hexadecimal. */
export const lineDigest = z.string().regex(/^[0-9a-f]{32}$/);
export const LINE_DIGEST_BYTES = 16;

/** [name, inode, size, mtime, ctime, mode, uid, gid, links]: an array, since there may be millions. */
export const FileEntry = z.tuple([
  wireBytes,
  uint64,
  fileSize,
  fileTime,
  fileTime,
  uint32,
  uint32,
  uint32,
  uint32,
]);
export type FileEntry = z.output<typeof FileEntry>;

/** [name, target] of a symbolic link. */
export const LinkEntry = z.tuple([wireBytes, wireBytes]);
export type LinkEntry = z.output<typeof LinkEntry>;

/** [mode, uid, gid] of a directory. */
export const DirectoryAccess = z.tuple([uint32, uint32, uint32]);
export type DirectoryAccess = z.output<typeof DirectoryAccess>;

/** `unresponsive`: a call did not come back, there or earlier on the same mount. */
export const inventoryFaults = ['unreadable', 'vanished', 'bad-name', 'unresponsive'] as const;
export const inventoryLimits = ['entries', 'depth', 'time'] as const;

export const InventoryLine = z.discriminatedUnion('type', [
  /** Regular files of one directory. A large directory takes several lines. */
  z.object({
    type: z.literal('directory'),
    path: wireBytes,
    dev: uint64,
    files: z.array(FileEntry).max(LIMITS.inventoryLineEntries),
    /** Both in a survey alone. */
    access: DirectoryAccess.optional(),
    links: z.array(LinkEntry).max(LIMITS.inventoryLineEntries).optional(),
  }),
  /** With `followRoots`: that a root leads elsewhere by links, where the listing of it goes on. */
  z.object({ type: z.literal('root'), path: wireBytes, target: wireBytes }),
  /** A directory or entry that could not be listed. */
  z.object({ type: z.literal('fault'), path: wireBytes, fault: z.enum(inventoryFaults), detail: label }),
  /** What is mounted here is of a type that was not asked for. */
  z.object({ type: z.literal('left-out'), path: wireBytes, fileSystem: label }),
  /** Lines of directories that are among the known ones, by their digests alone. */
  z.object({
    type: z.literal('known'),
    digests: z.array(lineDigest).min(1).max(LIMITS.inventoryLineDigests),
  }),
  /** The last line of a page that is not the last one. */
  z.object({ type: z.literal('more'), walk: z.uuid() }),
  /** The last line. `limit` names the budget that ended the listing early. */
  z.object({
    type: z.literal('end'),
    files: fileSize,
    directories: fileSize,
    bytes: fileSize,
    limit: z.enum(inventoryLimits).optional(),
  }),
]);
export type InventoryLine = z.output<typeof InventoryLine>;

// ---- content

export const ContentRequest = z.object({
  files: z
    .array(
      z.union([
        z.object({ path: wireBytes }),
        /** The executable of a running process, whether or not it still has a name. */
        z.object({ pid: uint32, start: uint64 }),
      ]),
    )
    .min(1)
    .max(LIMITS.contentFiles),
  /** A larger file fails with `too-large`; one that grows past it while it is read, with `grew`. */
  maxFileBytes: size,
});
export type ContentRequest = z.output<typeof ContentRequest>;

/** What the opened descriptor says (payload of OPEN). */
export const FileFacts = z.object({
  dev: uint64,
  ino: uint64,
  size: fileSize,
  mtime: fileTime,
  ctime: fileTime,
  mode: uint32,
  uid: uint32,
  gid: uint32,
  links: uint32,
});
export type FileFacts = z.output<typeof FileFacts>;
/** As they are sent. */
export type SentFileFacts = z.input<typeof FileFacts>;

/** Why a file could not be read, or not to its end (payload of FAIL). */
export const contentFaults = [
  'vanished',
  'unreadable',
  'not-regular',
  'too-large',
  'grew',
  'shrank',
  'io-error',
  /** A call did not come back, for this file or for others of the same mount. */
  'unresponsive',
] as const;
export type ContentFault = (typeof contentFaults)[number];
export const ContentFailure = z.object({ reason: z.enum(contentFaults), detail: label.optional() });
export type ContentFailure = z.output<typeof ContentFailure>;

/** What the agent computed from what it read; the host need not believe it. */
export const DigestLine = z.discriminatedUnion('type', [
  z.object({ type: z.literal('digest'), index: uint32, facts: FileFacts, sha256 }),
  z.object({ type: z.literal('failure'), index: uint32, failure: ContentFailure }),
  /** A sign of life while a large file is read. */
  z.object({ type: z.literal('working') }),
  z.object({ type: z.literal('end') }),
]);
export type DigestLine = z.output<typeof DigestLine>;
export type SentDigestLine = z.input<typeof DigestLine>;

/** Some bytes of files in place of all their content: the headers of programs. */
export const PieceRequest = z.object({
  files: z
    .array(
      z.object({
        path: wireBytes,
        /** [offset, bytes] of each piece; what lies past the end of the file is left out. */
        pieces: z
          .array(z.tuple([z.int().min(0).max(LIMITS.pieceOffset), z.int().min(1).max(LIMITS.pieceBytes)]))
          .min(1)
          .max(LIMITS.piecesOfFile),
      }),
    )
    .min(1)
    .max(LIMITS.contentFiles),
});
export type PieceRequest = z.output<typeof PieceRequest>;

export const PieceLine = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('pieces'),
    index: uint32,
    /** In the order of the request, each in base64. */
    data: z.array(z.base64().max(Math.ceil(LIMITS.pieceBytes / 3) * 4)).max(LIMITS.piecesOfFile),
  }),
  z.object({ type: z.literal('failure'), index: uint32, failure: ContentFailure }),
  z.object({ type: z.literal('end') }),
]);
export type PieceLine = z.output<typeof PieceLine>;

/** Throws ProtocolError `message-too-large` when the answer would not fit. */
export function requirePiecesFit({ files }: PieceRequest): void {
  const sums = files.map(({ pieces }) => pieces.reduce((sum, [, bytes]) => sum + bytes, 0));
  const all = sums.reduce((sum, bytes) => sum + bytes, 0);
  if (all <= LIMITS.piecesBytes && sums.every((sum) => sum <= LIMITS.piecesOfFileBytes)) return;
  throw new ProtocolError(
    'message-too-large',
    `a request asks for more than ${LIMITS.piecesOfFileBytes} bytes of a file or ${LIMITS.piecesBytes} in all`,
  );
}

// ---- processes

/** Bytes that are shown or matched as they come: a lone surrogate stands for none. */
const processBytes = wireBytes.refine(
  (bytes) => typeof bytes !== 'string' || bytes.isWellFormed(),
  'a lone surrogate is no text',
);

/** Bounded together, as many small arguments are as much to hold as a few large ones. */
const commandLine = z
  .array(processBytes)
  .max(LIMITS.commandLineArguments)
  .refine(
    (words) => words.reduce((sum, word) => sum + lengthOf(word), 0) <= LIMITS.commandLineBytes,
    `the arguments of a process have at most ${LIMITS.commandLineBytes} bytes together`,
  );

/** The processes with a greater pid than this, in their order, as many as go into a page. Without a request: all. */
export const ProcessRequest = z.object({ after: uint32 });
export type ProcessRequest = z.output<typeof ProcessRequest>;

export const processListLimits = ['processes', 'bytes'] as const;

export const ProcessLine = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('process'),
    pid: uint32,
    parent: uint32,
    /** Clock ticks after boot (field 22 of /proc/PID/stat): pid and start name one process. */
    start: uint64,
    uid: uint32,
    name: processBytes,
    commandLine,
    /** It has more arguments than are told. */
    cut: z.boolean().optional(),
    /** It is the kernel's own, by its flags. An agent that does not tell leaves it to be guessed from the parent. */
    kernelThread: z.boolean().optional(),
    /** Whether it sees the mounts that the guest's init sees, or others. */
    namespace: z.enum(['own', 'foreign']).optional(),
    /** Of one with a foreign namespace, by the names of its control groups. */
    container: z.object({ runtime: label, id: label }).optional(),
    /** Absent for kernel threads and where it may not be read. */
    executable: z
      .object({
        /** As the kernel shows it. In a foreign namespace any user can make it say anything. */
        path: processBytes,
        dev: uint64,
        ino: uint64,
        /** It has no name any more. */
        deleted: z.boolean(),
        /** It never had one: memfd_create. */
        inMemory: z.boolean(),
        /** `path` leads there in the guest's own namespace as well or, when it is deleted, did so. */
        placed: z.boolean().optional(),
      })
      .optional(),
  }),
  /** The last line of a page that is not the last one: what to ask for next. */
  z.object({ type: z.literal('more'), after: uint32 }),
  /** The last line. `limit` says that there are more processes, and which bound they passed. */
  z.object({ type: z.literal('end'), processes: size, limit: z.enum(processListLimits).optional() }),
]);
export type ProcessLine = z.output<typeof ProcessLine>;
