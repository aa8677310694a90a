/**
 * The list of a guest's processes, held to its bounds while it comes. A line that does not fit the contract costs
 * that process alone: one agent that is newer, or one process that is odd, must not hide all others. What is no
 * message at all (no JSON, too long, too deep) ends the session, as everywhere.
 */
import { z } from 'zod';
import { displayText, LIMITS, ProcessLine, parseMessage } from '../../protocol/index.ts';
import type { ListedProcess } from './session.ts';

/** The list passed one of its bounds: what follows is not read. */
export interface Cut {
  readonly type: 'cut';
  readonly limit: NonNullable<Extract<ProcessLine, { type: 'end' }>['limit']>;
}

const EXPLANATION_CHARACTERS = 200;
const Named = z.object({ pid: z.int().min(0).max(0xffff_ffff) });

export class ProcessList {
  /** Lines that were taken but for the end, and the bytes of all. */
  lines = 0;
  private bytes = 0;

  /** Throws ProtocolError for what is no message. */
  take(untrusted: Buffer): ListedProcess | Cut {
    this.bytes += untrusted.length;
    if (this.bytes > LIMITS.processListBytes) return { type: 'cut', limit: 'bytes' };
    const untrustedLine = parseMessage(z.unknown(), untrusted);
    const line = ProcessLine.safeParse(untrustedLine);
    if (line.data?.type === 'end') return line.data;
    this.lines += 1;
    if (this.lines > LIMITS.processes) return { type: 'cut', limit: 'processes' };
    return line.success ? line.data : faultOf(untrustedLine, line.error);
  }
}

function faultOf(untrusted: unknown, { issues: [issue] }: z.ZodError): ListedProcess {
  const named = Named.safeParse(untrusted);
  const where = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
  return {
    type: 'fault',
    ...(named.success && { pid: named.data.pid }),
    detail: `its line breaks the contract (${displayText(where.slice(0, EXPLANATION_CHARACTERS))})`,
  };
}
