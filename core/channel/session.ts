/**
 * A channel grows in steps, and the types let none be left out: `openChannel` gives an OpenChannel (bytes,
 * resync, TLS, the agent's key); only its `login` gives a GuestSession, and only that can ask for content.
 */
import type {
  ContentFailure,
  ContentRecord,
  ContentRequest,
  Features,
  FileFacts,
  Grant,
  InventoryLine,
  InventoryRequest,
  LoginRequest,
  Outcome,
  PieceLine,
  PieceRequest,
  ProcessLine,
  SealedInstruction,
} from '../../protocol/index.ts';

/** Lines of earlier listings that need not come again. */
export interface KnownLines {
  /** As `ListedLine` gave them; at most `LIMITS.knownLines`. */
  readonly digests: readonly string[];
  /** Whether it is one of them. */
  has(digest: string): boolean;
}

type DirectoryLine = Extract<InventoryLine, { type: 'directory' }>;

/**
 * `digest` stands for the very bytes of the line: 32 lower-case hexadecimal digits. `misfits`: how many entries of it
 * could not be and were left out; a `fault` follows for each, or for all of them.
 */
export type ListedLine =
  | (DirectoryLine & { readonly digest: string; readonly misfits?: number })
  | Extract<InventoryLine, { type: 'known' | 'fault' | 'left-out' | 'root' | 'end' }>;

export type UntrustedClaim =
  | { readonly index: number; readonly facts: FileFacts; readonly sha256: string }
  | { readonly index: number; readonly failure: ContentFailure };

export type ReadPieces = Exclude<PieceLine, { type: 'end' }>;

/**
 * A process; the fault of one whose line does not fit the contract, with its pid where that can be told; or the end,
 * with the bound at which the list was cut, by the guest or by us.
 */
export type ListedProcess =
  | Exclude<ProcessLine, { type: 'more' }>
  | { readonly type: 'fault'; readonly pid?: number; readonly detail: string };

/** A guest as the hypervisor (or the command line) names it. */
export interface Domain {
  /** The libvirt UUID; for a bare socket, derived from its absolute path. */
  readonly id: string;
  readonly name: string;
  /** The host's end of the port. */
  readonly socket: string;
  /** What SMBIOS in the guest must say; undefined where the hypervisor does not tell. */
  readonly uuid?: string;
}

export interface OpenChannel {
  /** SHA-256 of the agent's public key (SPKI, DER), lower-case hex. */
  readonly agentKey: string;
  /**
   * Awaits the login request, lets `admit` decide (it throws ChannelError to refuse) and answers it.
   * Rejects with ChannelError.
   */
  login(admit: (untrustedLogin: LoginRequest, agentKey: string) => Promise<Admission>): Promise<GuestSession>;
  close(): Promise<void>;
}

export interface Admission {
  readonly session: string;
  readonly epoch: number;
}

/**
 * An accepted session. Every method rejects with ChannelError, and takes a signal whose abort also ends the
 * work in the guest. One that ends the session (`silent`, `protocol-violation`, `session-lost`) ends all of
 * its requests.
 */
export interface GuestSession {
  readonly id: string;
  readonly epoch: number;
  readonly login: LoginRequest;
  queryFeatures(signal?: AbortSignal): Promise<Features>;
  grant(grant: Grant, signal?: AbortSignal): Promise<void>;
  /**
   * Checked lines, the last of them `end`; a listing without one is `session-lost`. The guest lists page by page,
   * each when the one before it was taken. Lines whose digest is among `known` come by digest alone.
   */
  listFiles(request: InventoryRequest, signal?: AbortSignal, known?: KnownLines): AsyncIterable<ListedLine>;
  /**
   * Records in the order of the request, checked for turn and size, in groups as they arrived. A payload may be
   * a view into a receive buffer: use it before asking for the next group. Not asking holds the guest back.
   */
  readContent(request: ContentRequest, signal?: AbortSignal): AsyncIterable<readonly ContentRecord[]>;
  /** What the agent says are the SHA-256s of files, in the order of the request. Nothing but its word stands behind them. */
  claimDigests(request: ContentRequest, signal?: AbortSignal): AsyncIterable<UntrustedClaim>;
  /**
   * Some bytes of files, in the order of the request: of each as many pieces as were asked for, none longer. An agent
   * that has no such route makes it reject with ChannelError `refused`.
   */
  readPieces(request: PieceRequest, signal?: AbortSignal): AsyncIterable<ReadPieces>;
  /**
   * Lines as they come, the last of them `end`. The guest lists page by page, each when the one before it was taken. What had come before the session was
   * lost is not given any more: nothing can be asked about it.
   */
  listProcesses(signal?: AbortSignal): AsyncIterable<ListedProcess>;
  /** Puts content into the guest for restore:file or update:file. */
  stage(sha256: string, content: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
  send(sealed: SealedInstruction, signal?: AbortSignal): Promise<Outcome>;
  /** Resolves when the session is over, with its error unless we closed it. */
  readonly ended: Promise<Error | undefined>;
  close(): Promise<void>;
}
