import { EventError } from '../error.ts';
import type { EventRoom, EventSink, OcsfEvent } from '../events/sink.ts';

/** Where the engine's events go: out of this host, then to those who follow. The way out may change meanwhile. */
export class EventFeed implements EventSink, EventRoom {
  private out: (EventSink & EventRoom) | undefined;
  private readonly followers: EventSink[] = [];

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
    await this.out.emit(event);
    for (const follower of this.followers) await follower.emit(event);
  }

  reasonToWithhold(): string | undefined {
    return this.out ? this.out.reasonToWithhold() : 'events are not accepted at the moment';
  }
}
