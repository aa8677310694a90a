/**
 * Every limit of the wire contract, in one place. Both sides enforce them on what they receive, before
 * allocating for it, and count bytes as received, never as promised.
 */
const KiB = 1024;
const MiB = 1024 * KiB;

export const LIMITS = {
  /** One JSON message (a command, its response, a line of NDJSON). */
  messageBytes: 1 * MiB,
  /** Nesting of a JSON message; checked before it is parsed. */
  messageDepth: 32,
  /** A guest path, without its terminating NUL (PATH_MAX). */
  pathBytes: 4096,
  /** Entries in one line of the file inventory. */
  inventoryLineEntries: 512,
  /** Digests of known lines that a listing may begin with (16 bytes each), and how many go into one line of its answer. */
  knownLines: 256 * 1024,
  inventoryLineDigests: 1024,
  /** A page of the inventory, but for its last lines. Far less than a stream's window: no page ever waits for its reader. */
  inventoryPageBytes: 2 * MiB,
  /**
   * Mounted file systems of which a guest tells, the first of its table. A node of containers has some 700 overlays.
   * What is mounted beyond is scanned or left out by its type as all are; that there is more is told by a number.
   */
  fileSystems: 4096,
  /** Types of file systems that one listing can name. */
  fileSystemTypes: 256,
  /** Walks that may be under way in one session. */
  walks: 4,
  /** Files in one content request. */
  contentFiles: 1024,
  /** One piece of a file, and where it may begin. */
  pieceBytes: 64 * KiB,
  pieceOffset: 2 ** 52,
  /** Pieces of one file, whose answer is one message; and all of one request, whose answer fits into a stream's window. */
  piecesOfFile: 1024,
  piecesOfFileBytes: 512 * KiB,
  piecesBytes: 4 * MiB,
  /** Payload of one content record. */
  recordBytes: 256 * KiB,
  /** Content staged in the guest for restore:file and update:file. */
  stagedBytes: 512 * MiB,
  /** The least that a budget may allow: with less, no answer would come before the deadlines below. */
  leastCpuPercent: 1,
  leastReadBytesPerSecond: 1 * MiB,
  /** Process lines in one process inventory, and the bytes of all of them: what is beyond is not looked at, and said so. */
  processes: 131_072,
  processListBytes: 64 * MiB,
  /** A page of it, but for its last lines: as with the inventory of files, no page ever waits for its reader. */
  processPageBytes: 2 * MiB,
  /** Arguments of one process that are reported, and the bytes of all of them together. */
  commandLineArguments: 1024,
  commandLineBytes: 16 * KiB,
  /** Bytes that the host reads and discards while it waits for the resync echo. */
  resyncDiscardBytes: 64 * MiB,
  /** Concurrent requests on one session. */
  concurrentRequests: 32,
  /** Enrolment tokens of which a login can bring the proof: an agent may find an old one beside the new one. */
  enrolmentProofs: 8,
  /** Header bytes of one request or response. */
  headerBytes: 8 * KiB,
} as const;

/** Deadlines in milliseconds. A guest that misses one is reported as silent. */
export const DEADLINES = {
  /** Between two resync preambles. */
  resyncRepeat: 100,
  resync: 5_000,
  tls: 10_000,
  login: 10_000,
  /** A command's response. */
  command: 30_000,
  /** No byte of an expected stream for so long. */
  streamIdle: 15_000,
  /** All the waiting for one answer, so that one that drips comes to an end; longer by a second for each 64,000 bytes. */
  answer: 900_000,
  /** Between two heartbeat lines of the agent. Two that stay out are silence. */
  heartbeat: 30_000,
} as const;

/**
 * How a guest may not be wasteful on purpose. Overhead is every byte on the socket that is not payload of a
 * response: TLS records, frame headers, SETTINGS, PING, RST_STREAM, headers, heartbeats. An honest agent needs
 * 1 % of its payload; a guest that floods with control frames overdraws the allowance and loses its session.
 */
export const ALLOWANCE = {
  /** Overhead bytes that may come at once, and that are given back each second. */
  overheadBurst: 4 * MiB,
  overheadPerSecond: 256 * KiB,
  /** Overhead bytes allowed for each byte of payload. */
  overheadPerPayload: 1,
  /** DATA records of one content request: so many for each file, and one more for so many bytes. */
  recordsPerFile: 64,
  bytesPerRecord: 1 * KiB,
  /** Lines of an inventory beyond those that its budget of entries explains. */
  inventoryLines: 1024,
  /** Entries of an inventory that cannot be and are named one by one; from then on one stands for those of its line. */
  namedMisfits: 1000,
  /** Pages of an inventory that hold little, beyond one for each five seconds of its time. */
  thinPages: 16,
} as const;

/**
 * HTTP/2 flow control: bytes in flight per stream, and per connection. The connection's window never binds, for
 * all streams together fit into it: what holds a guest back is the streams that we have open, a few at a time.
 * (An agent on Bun 1.4 does not go on with streams that waited for the connection's window.)
 */
export const WINDOWS = { stream: 8 * MiB, connection: LIMITS.concurrentRequests * 8 * MiB } as const;
