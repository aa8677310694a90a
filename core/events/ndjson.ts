/** Events as NDJSON: one JSON text a line, UTF-8 (https://github.com/ndjson/ndjson-spec). */
import type { Writable } from 'node:stream';
import { displayText } from '../../protocol/index.ts';
import { EventError } from '../error.ts';
import type { EventSink, OcsfEvent } from './sink.ts';

/**
 * Writes each event to a stream that stays its owner's to end. `emit` resolves when the stream has passed the
 * line on, so a reader who is slow holds the caller back; it rejects with EventError `reader-gone` or
 * `write-failed`, and after that always with that same error.
 */
export class NdjsonSink implements EventSink {
  private readonly stream: Writable;
  private failure: EventError | undefined;

  constructor(stream: Writable) {
    this.stream = stream;
    // Said by the event that met it; unheard, it would end the process.
    stream.on('error', (cause) => this.fail(cause));
  }

  async emit(event: OcsfEvent): Promise<void> {
    if (this.failure) throw this.failure;
    const line = `${JSON.stringify(event)}\n`;
    await new Promise<void>((resolve, reject) => {
      this.stream.write(line, (cause) => (cause ? reject(this.fail(cause)) : resolve()));
    });
  }

  private fail(cause: NodeJS.ErrnoException): EventError {
    this.failure ??=
      cause.code === 'EPIPE'
        ? new EventError('reader-gone', 'whoever read the events has gone: later ones reach nobody', {
            cause,
          })
        : new EventError('write-failed', `an event could not be written: ${displayText(cause.message)}`, {
            cause,
          });
    return this.failure;
  }
}
