/**
 * The service's log: one line of JSON for each message, on stderr, where systemd's journal takes it up.
 *
 *   {"level":"warn","time":"2026-11-27T01:40:38.000Z","message":"a sink does not take events","facts":{"sink":"syslog"}}
 *
 * For the journal each line starts with its priority, `<4>`, which the journal takes off (sd-daemon(3)): so
 * `journalctl -p warning` finds warnings.
 */
import { pino } from 'pino';
import type { Logger } from '../api/index.ts';
import { harmlessFacts, harmlessText } from './log-facts.ts';

export type LogLevel = 'debug' | 'info' | 'warn';

export interface LogOptions {
  readonly level: LogLevel;
  /** Priorities for the journal. Default: when systemd says that stderr is the journal. */
  readonly journal?: boolean;
  /** Milliseconds for which a repeated problem is not said again. */
  readonly quiet?: number;
  /** Where lines go, each with its line feed. Default: stderr; a line is out when the call returns. */
  readonly destination?: { write(line: string): unknown };
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

interface Repeated {
  readonly until: number;
  times: number;
}

const QUIET_MS = 600_000;
const MOST_KEYS = 1_024;
/** syslog(3), by pino's numbers. */
const PRIORITIES: Readonly<Record<number, number>> = { 20: 7, 30: 6, 40: 4 };

export class ServiceLog implements Logger {
  private readonly pino: pino.Logger;
  private readonly quiet: number;
  private readonly clock: () => number;
  private readonly repeated = new Map<string, Repeated>();

  constructor(options: LogOptions) {
    const {
      level,
      destination = stderr(),
      journal = isJournal(),
      quiet = QUIET_MS,
      clock = Date.now,
    } = options;
    this.quiet = quiet;
    this.clock = clock;
    this.pino = pino(
      {
        level,
        base: null,
        messageKey: 'message',
        // Facts are named by many: none of them may pass for the message or its level.
        nestedKey: 'facts',
        timestamp: () => `,"time":"${new Date(clock()).toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      journal ? prioritised(destination) : (destination as pino.DestinationStream),
    );
  }

  /** What is below it is not logged. */
  set level(level: LogLevel) {
    this.pino.level = level;
  }

  debug(message: string, facts?: Readonly<Record<string, unknown>>): void {
    this.log('debug', message, facts);
  }

  info(message: string, facts?: Readonly<Record<string, unknown>>): void {
    this.log('info', message, facts);
  }

  warn(message: string, facts?: Readonly<Record<string, unknown>>): void {
    this.log('warn', message, facts);
  }

  /**
   * A warning about a problem that comes again and again, under a key of its own: said once, then again when the quiet
   * time is over, with how often it was left out (`repeated`).
   */
  warnOnce(key: string, message: string, facts: Readonly<Record<string, unknown>> = {}): void {
    const now = this.clock();
    const before = this.repeated.get(key);
    if (before && now < before.until) {
      before.times += 1;
      return;
    }
    this.repeated.delete(key);
    this.forgetOldest();
    this.repeated.set(key, { until: now + this.quiet, times: 0 });
    this.warn(message, before && before.times > 0 ? { ...facts, repeated: before.times } : facts);
  }

  /** The problem is over: when it comes again it is said at once. */
  resolved(key: string): void {
    this.repeated.delete(key);
  }

  /** Keys may come of what guests do: only so many are remembered. */
  private forgetOldest(): void {
    const [oldest] = this.repeated.keys();
    if (this.repeated.size >= MOST_KEYS && oldest !== undefined) this.repeated.delete(oldest);
  }

  private log(level: LogLevel, message: string, facts?: Readonly<Record<string, unknown>>): void {
    if (!this.pino.isLevelEnabled(level)) return;
    const text = harmlessText(message);
    if (facts === undefined || Object.keys(facts).length === 0) this.pino[level](text);
    else this.pino[level](harmlessFacts(facts), text);
  }
}

function stderr(): pino.DestinationStream {
  const stream = pino.destination({ fd: 2, sync: true });
  // Whoever read it has gone, and there is nobody else to tell.
  stream.on('error', () => undefined);
  return stream;
}

/** systemd names the device and inode of the journal's socket (systemd.exec(5)). */
const isJournal = (): boolean => process.env.JOURNAL_STREAM !== undefined;

function prioritised(destination: { write(line: string): unknown }): pino.DestinationStream {
  return {
    // pino tells the level of each line to who asks for it.
    [Symbol.for('pino.metadata')]: true,
    lastLevel: 30,
    write(line: string): void {
      destination.write(`<${PRIORITIES[this.lastLevel] ?? 6}>${line}`);
    },
  } as pino.DestinationStream & { lastLevel: number };
}
