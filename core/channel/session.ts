/**
 * A channel grows in steps, and the types let none be left out: `openChannel` gives an OpenChannel (bytes,
 * resync, TLS, the agent's key); only its `login` gives a GuestSession, and only that can ask for content.
 */
import type {
  ContentRecord,
  ContentRequest,
  Features,
  Grant,
  InventoryLine,
  InventoryRequest,
  LoginRequest,
  Outcome,
  ProcessLine,
  SealedInstruction,
} from '../../protocol/index.ts';

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
  /** Checked lines, the last of them `end`; a listing without one is `session-lost`. */
  listFiles(request: InventoryRequest, signal?: AbortSignal): AsyncIterable<InventoryLine>;
  /**
   * Records in the order of the request, checked for turn and size, in groups as they arrived. A payload may be
   * a view into a receive buffer: use it before asking for the next group. Not asking holds the guest back.
   */
  readContent(request: ContentRequest, signal?: AbortSignal): AsyncIterable<readonly ContentRecord[]>;
  listProcesses(signal?: AbortSignal): AsyncIterable<ProcessLine>;
  /** Puts content into the guest for restore:file or update:file. */
  stage(sha256: string, content: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
  send(sealed: SealedInstruction, signal?: AbortSignal): Promise<Outcome>;
  /** Resolves when the session is over, with its error unless we closed it. */
  readonly ended: Promise<Error | undefined>;
  close(): Promise<void>;
}
