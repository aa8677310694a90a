/** What an event needs to leave this host. */

/** An event as the spool keeps it. */
export interface StoredEvent {
  /** Its place in the order of all events: grows by one with each. */
  readonly sequence: number;
  /** Its `metadata.uid`, by which receivers count it once. */
  readonly uid: string;
  /** OCSF class, such as 2004. */
  readonly classUid: number;
  /** OCSF severity, 0 to 6 or 99. */
  readonly severityId: number;
  /** When it happened, milliseconds since 1970. */
  readonly time: number;
  /** When it was accepted, milliseconds since 1970. */
  readonly acceptedAt: number;
  /** The event, one line of JSON without the line feed. */
  readonly json: string;
}

export interface BatchLimit {
  readonly events: number;
  /** Of JSON. A single event may be larger. */
  readonly bytes: number;
}

/** One place that events are delivered to. */
export interface EventOutlet {
  /** Names its place in the spool: an outlet that keeps its name goes on where it was. */
  readonly name: string;
  /** What it takes at once. */
  readonly batch: BatchLimit;
  /**
   * Resolves when the receiver has all events of the batch: they are then forgotten. Rejects with DeliveryError when it
   * may not have all of them; the same events, perhaps with others or fewer, are handed in again. Has a deadline of its
   * own, and gives up at once when `signal` is aborted.
   */
  deliver(batch: readonly StoredEvent[], signal: AbortSignal): Promise<void>;
  /** Lets go of connections. Does not reject. */
  close?(): Promise<void>;
}
