/**
 * Parts of the service that are started anew when their configuration changes, each by itself. One that cannot be
 * started with the new configuration goes on with the old one, and so do all others: a reload is taken whole or not.
 */

import { displayText } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import type { Settings } from '../config/index.ts';

export interface Part {
  readonly name: string;
  /** What it depends on. */
  readonly keys: readonly (keyof Settings)[];
  /** Rejects with CodedError, and then leaves nothing behind. */
  start(settings: Settings): Promise<StartedPart>;
}

export interface StartedPart extends AsyncDisposable {
  /** Where it need not be stopped to take other settings. Rejects with CodedError; called once more with the old ones then. */
  change?(settings: Settings): Promise<void>;
}

interface Running {
  readonly part: Part;
  /** Undefined while it could not be started. */
  current: StartedPart | undefined;
}

export class Parts implements AsyncDisposable {
  private readonly running: Running[] = [];
  private readonly logger: Logger;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** Those that were started are stopped in the end, the last one first. */
  async start(part: Part, settings: Settings): Promise<void> {
    this.running.push({ part, current: await part.start(settings) });
  }

  /** Rejects with the error of the part that cannot be started; all are as they were then. */
  async change(from: Settings, to: Settings): Promise<void> {
    const concerned = this.running.filter(
      ({ part, current }) => current === undefined || differs(part.keys, from, to),
    );
    const changed: Running[] = [];
    try {
      for (const running of concerned) {
        changed.push(running);
        await restart(running, to);
      }
    } catch (error) {
      for (const running of changed.reverse()) await this.goBack(running, from);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    for (const { current } of this.running.splice(0)) all.use(current);
  }

  /** A part that took the new settings while it ran goes on with what it has when it cannot take the old ones. */
  private async goBack(running: Running, settings: Settings): Promise<void> {
    try {
      await restart(running, settings);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.logger.warn(
        `${running.part.name} cannot be started any more, with the old configuration either: ${displayText(message)}`,
      );
    }
  }
}

async function restart(running: Running, settings: Settings): Promise<void> {
  const before = running.current;
  if (before?.change) return before.change(settings);
  running.current = undefined;
  await before?.[Symbol.asyncDispose]();
  running.current = await running.part.start(settings);
}

/** Whether one of the keys has another value. */
export const differs = (keys: readonly (keyof Settings)[], one: Settings, other: Settings): boolean =>
  keys.some((key) => JSON.stringify(one[key]) !== JSON.stringify(other[key]));
