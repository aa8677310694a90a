/** The daemon of this host, where one runs: it holds the state directory, and does what commands ask for. */
import { connectDaemon, type DaemonClient } from '../service/client.ts';
import { DaemonError } from '../service/error.ts';
import { UsageError } from './error.ts';
import type { Context, Run } from './run.ts';

/**
 * Undefined where the command is to work by itself: no daemon answers, none is configured, or the command line names
 * a state directory, which is then worked on whatever the daemon does. Rejects with ApiError and ConfigError.
 */
export async function daemonOf(run: Run, context: Context): Promise<DaemonClient | undefined> {
  if (run.options.state !== undefined) return undefined;
  const socket = context.apiSocket?.(await run.settings());
  return socket === undefined ? undefined : connectDaemon(socket);
}

const NAMES_NOTHING: ReadonlySet<string> = new Set(['unknown-vm', 'ambiguous-vm', 'no-such-domain']);

/** A name that the daemon does not know is a mistake on the command line, as it is without a daemon. */
export async function asked<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof DaemonError && NAMES_NOTHING.has(error.code)) throw new UsageError(error.message);
    throw error;
  }
}
