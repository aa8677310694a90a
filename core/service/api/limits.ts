/** What one caller, and all together, may take. */
export interface ApiLimits {
  /** Of a JSON body; a pack has its own. */
  readonly bodyBytes: number;
  readonly packBytes: number;
  readonly headerBytes: number;
  readonly urlLength: number;
  /** For each identity, and for each address that is none. */
  readonly requestsPerSecond: number;
  /** Open at once; for another one, the one that has waited longest and is unknown makes way. */
  readonly connections: number;
  /** Of them, from one address. */
  readonly connectionsFromOne: number;
  /** Scans that are followed at once. */
  readonly followers: number;
  /** Packs that arrive at once. */
  readonly uploads: number;
  /** What waits for a reader of events before it is let go. */
  readonly waitingBytes: number;
  readonly timeouts: {
    /** For the headers, the handshake of TLS, and the whole request, in milliseconds. */
    readonly headers: number;
    readonly handshake: number;
    readonly request: number;
    /** Without a byte of a body, or without a byte of an answer that is taken. */
    readonly idle: number;
    /** Between requests. */
    readonly keepAlive: number;
    /** Between signs of life to readers of events. */
    readonly heartbeat: number;
    /** For what is under way when the API closes. */
    readonly closing: number;
  };
}

const KIB = 1024;
const MIB = KIB * KIB;

export const API_LIMITS: ApiLimits = {
  bodyBytes: MIB,
  packBytes: 128 * MIB,
  headerBytes: 16 * KIB,
  urlLength: 2048,
  requestsPerSecond: 1000,
  connections: 256,
  connectionsFromOne: 64,
  followers: 64,
  uploads: 2,
  waitingBytes: MIB,
  timeouts: {
    headers: 10_000,
    handshake: 10_000,
    request: 300_000,
    idle: 30_000,
    keepAlive: 30_000,
    heartbeat: 15_000,
    closing: 5000,
  },
};

/** Given ones instead of the defaults. */
export type LimitOptions = Partial<Omit<ApiLimits, 'timeouts'>> & {
  readonly timeouts?: Partial<ApiLimits['timeouts']>;
};

export const limitsOf = (given: LimitOptions = {}): ApiLimits => ({
  ...API_LIMITS,
  ...given,
  timeouts: { ...API_LIMITS.timeouts, ...given.timeouts },
});
