import type { Logger } from '../api/index.ts';
import { EventError } from '../error.ts';
import { isOfAction } from '../events/of-action.ts';
import type { EventRoom, EventSink, OcsfEvent } from '../events/sink.ts';

/** The spool is full, or its disk is. */
const NO_ROOM: ReadonlySet<string> = new Set(['spool-full', 'spool-failed']);

/**
 * Where the engine's events go: out of this host, then to those who follow.
 *
 * When the spool is full, what was done must still be told, and is withheld where it could not be. What was found is in
 * the database all the same: that scan goes on, and that its events stay out is said (docs/decisions/event-spool.md).
 */
export class EventFeed implements EventSink, EventRoom {
  private readonly logger: Logger;
  private out: (EventSink & EventRoom) | undefined;
  private readonly followers: EventSink[] = [];
  private isFull = false;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** From now on events go out there; without a way out none is accepted. */
  sendTo(out: (EventSink & EventRoom) | undefined): void {
    this.out = out;
  }

  /** Followers are told when an event is safe. */
  alsoTell(follower: EventSink): void {
    this.followers.push(follower);
  }

  async emit(event: OcsfEvent): Promise<void> {
    if (!this.out)
      throw new EventError('stopped', 'events are not accepted at the moment: the service starts or stops');
    try {
      await this.out.emit(event);
      this.isFull = false;
    } catch (error) {
      if (!(error instanceof EventError) || !NO_ROOM.has(error.code) || isOfAction(event)) throw error;
      this.tellOnce(error);
    }
    for (const follower of this.followers) await follower.emit(event);
  }

  reasonToWithhold(): string | undefined {
    return this.out ? this.out.reasonToWithhold() : 'events are not accepted at the moment';
  }

  /** Until an event finds room again. */
  private tellOnce({ code, message }: EventError): void {
    if (this.isFull) return;
    this.isFull = true;
    const next = 'what is found is in the database alone (lazaret findings), and nothing is acted upon';
    this.logger.warn(`${message}; until there is room, ${next}`, { code });
  }
}
