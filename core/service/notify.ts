/**
 * Tells systemd how the service is doing: sd_notify(3). A datagram of `NAME=value` lines goes to the socket that
 * NOTIFY_SOCKET names; READY=1 ends the start, RELOADING=1 with the monotonic time begins a reload that the next
 * READY=1 ends, STOPPING=1 begins the stop. With WATCHDOG_USEC set, systemd ends a service from which WATCHDOG=1
 * stays out for so long (sd_watchdog_enabled(3)).
 */
import { CodedError, displayText } from '../../protocol/index.ts';
import { sendDatagram, unixAddress } from './datagram.ts';

export type NotifyErrorCode = 'bad-environment' | 'not-delivered';
/** systemd cannot be told. */
export class NotifyError extends CodedError<NotifyErrorCode> {}

const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const;
/** Timers hold no more. A watchdog that allows for longer is fed more often than it asks for. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What the service manager hears of; outside of one, all of it does nothing. */
export class Notifier {
  private readonly address: Buffer | undefined;
  /** How often the watchdog is fed, in milliseconds; undefined where there is none. */
  readonly watchdogMs: number | undefined;

  /**
   * Takes what systemd left in the environment out of it: children have no say in how this service is doing.
   * Throws NotifyError `bad-environment`.
   */
  constructor(environment: NodeJS.ProcessEnv = process.env) {
    const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: interval, WATCHDOG_PID: pid } = environment;
    for (const name of VARIABLES) delete environment[name];
    if (socket === undefined) return;
    this.address = unixAddress(socket);
    if (!this.address) {
      throw new NotifyError(
        'bad-environment',
        `NOTIFY_SOCKET is ${displayText(socket)}, which is no absolute path or @name of at most 107 bytes: unset it to run without systemd`,
      );
    }
    if (interval !== undefined && (pid === undefined || pid === String(process.pid))) {
      this.watchdogMs = halfOf(interval);
    }
  }

  /** The start, or a reload, is done. */
  ready(status: string): void {
    this.send('READY=1', statusLine(status));
  }

  /** Every `reloading` is followed by a `ready`, also when the new configuration was refused. */
  reloading(): void {
    this.send('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.send('STOPPING=1');
  }

  /** One line for `systemctl status`. */
  status(text: string): void {
    this.send(statusLine(text));
  }

  /**
   * Feeds the watchdog as long as the event loop turns and `isHealthy` says so; what it throws, and a NotifyError,
   * goes to `onFault`, and the watchdog goes hungry for that turn. Dispose of what it returns when stopping takes long.
   */
  watch(isHealthy: () => boolean, onFault: (error: unknown) => void): Disposable {
    const feed = (): void => {
      try {
        if (isHealthy()) this.send('WATCHDOG=1');
      } catch (error) {
        onFault(error);
      }
    };
    if (this.watchdogMs === undefined) return { [Symbol.dispose]: () => undefined };
    feed();
    const timer = setInterval(feed, this.watchdogMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** Throws NotifyError `not-delivered`. */
  private send(...lines: string[]): void {
    if (!this.address) return;
    try {
      sendDatagram(this.address, Buffer.from(lines.join('\n'), 'utf8'));
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new NotifyError('not-delivered', `systemd could not be told ${lines[0]}: ${reason}`, { cause });
    }
  }
}

/** A line break would begin another assignment. */
const statusLine = (text: string): string => `STATUS=${displayText(text)}`;

/** Half of a number of microseconds, in milliseconds. */
function halfOf(interval: string): number {
  const microseconds = /^[1-9]\d{0,18}$/.test(interval) ? Number(interval) : 0;
  if (microseconds === 0) {
    throw new NotifyError(
      'bad-environment',
      `WATCHDOG_USEC is ${displayText(interval)}, which is no number of microseconds: unset it to run without a watchdog`,
    );
  }
  return Math.min(Math.max(1, Math.floor(microseconds / 2000)), LONGEST_TIMER_MS);
}
