/**
 * Every JSON message of the contract except commands (`openc2.ts`). 64-bit numbers (inodes, device numbers,
 * process start times) and times travel as decimal strings, because JSON readers round past 2^53.
 *
 *   POST /lazaret/v1/login      NDJSON both ways, as long as the session lives
 *   POST /lazaret/v1/grant      Grant → 204
 *   POST /lazaret/v1/openc2     Command → Response
 *   POST /lazaret/v1/files      InventoryRequest, a newline, digests of known lines → a page: NDJSON of InventoryLine
 *   POST /lazaret/v1/files/ID   empty → the next page of the walk ID
 *   DELETE /lazaret/v1/files/ID ends the walk ID → 204
 *   POST /lazaret/v1/content    ContentRequest → records (`records.ts`)
 *   POST /lazaret/v1/digests    ContentRequest → NDJSON of DigestLine
 *   POST /lazaret/v1/processes  empty → NDJSON of ProcessLine
 *   PUT  /lazaret/v1/staged/ID  content for restore:file or update:file, ID its SHA-256 → 204
 *
 * A refused request is answered with its HTTP status and a Refusal.
 */
import { z } from 'zod';
import { INSTRUCTION_NAMES } from './instructions.ts';
import { LIMITS } from './limits.ts';
import type { WireBytes } from './path.ts';

export const PROTOCOL_VERSION = 1;

export const ROUTES = {
  login: '/lazaret/v1/login',
  grant: '/lazaret/v1/grant',
  openc2: '/lazaret/v1/openc2',
  files: '/lazaret/v1/files',
  walk: '/lazaret/v1/files/',
  content: '/lazaret/v1/content',
  digests: '/lazaret/v1/digests',
  processes: '/lazaret/v1/processes',
  staged: '/lazaret/v1/staged/',
} as const;

const uint64 = z.string().regex(/^(0|[1-9]\d{0,19})$/);
const uint32 = z.int().min(0).max(0xffff_ffff);
const size = z.int().min(0);
/** Seconds since 1970 with nine decimals; seconds may be negative. */
const time = z.string().regex(/^-?\d{1,12}\.\d{9}$/);
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
});
export type InventoryRequest = z.output<typeof InventoryRequest>;

/** SHA-256 over the bytes of a `directory` line without its newline, cut to 16 bytes, in hexadecimal. */
export const lineDigest = z.string().regex(/^[0-9a-f]{32}$/);
export const LINE_DIGEST_BYTES = 16;

/** [name, inode, size, mtime, ctime, mode, uid, gid, links]: an array, since there may be millions. */
export const FileEntry = z.tuple([wireBytes, uint64, size, time, time, uint32, uint32, uint32, uint32]);
export type FileEntry = z.output<typeof FileEntry>;

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
  }),
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
    files: size,
    directories: size,
    bytes: size,
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
  size,
  mtime: time,
  ctime: time,
  mode: uint32,
  uid: uint32,
  gid: uint32,
  links: uint32,
});
export type FileFacts = z.output<typeof FileFacts>;

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

// ---- processes

export const ProcessLine = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('process'),
    pid: uint32,
    parent: uint32,
    /** Clock ticks after boot (field 22 of /proc/PID/stat): pid and start name one process. */
    start: uint64,
    uid: uint32,
    name: wireBytes,
    commandLine: z.array(wireBytes).max(1024),
    /** Absent for kernel threads and where it may not be read. */
    executable: z
      .object({
        path: wireBytes,
        dev: uint64,
        ino: uint64,
        /** It has no name any more. */
        deleted: z.boolean(),
        /** It never had one: memfd_create. */
        inMemory: z.boolean(),
      })
      .optional(),
  }),
  z.object({ type: z.literal('end'), processes: size }),
]);
export type ProcessLine = z.output<typeof ProcessLine>;
