/**
 * The list of a guest's processes, held to its bounds while it comes. A line that does not fit the contract costs
 * that process alone: one agent that is newer, or one process that is odd, must not hide all others. What is no
 * message at all (no JSON, too long, too deep) ends the session, as everywhere.
 */
import { z } from 'zod';
import {
  displayText,
  LIMITS,
  ProcessLine,
  type ProcessRequest,
  ProtocolError,
  parseMessage,
} from '../../protocol/index.ts';
import type { ListedProcess } from './session.ts';

type Line<Type> = Extract<ProcessLine, { type: Type }>;

/** What ends a page: the guest has more, or the list passed one of its bounds and no more is asked for. */
export type PageEnd =
  | Line<'more'>
  | { readonly type: 'cut'; readonly limit: NonNullable<Line<'end'>['limit']> };

const EXPLANATION_CHARACTERS = 200;
const Named = z.object({ pid: z.int().min(0).max(0xffff_ffff) });

export class ProcessList {
  /** Lines that were taken but for the ends of pages, and the bytes of all. */
  lines = 0;
  private bytes = 0;
  /** What was taken before this page, and the pid that it begins after. */
  private before = 0;
  private after = 0;

  get request(): ProcessRequest {
    return { after: this.after };
  }

  /** Throws ProtocolError for what is no message, or out of turn. */
  take(untrusted: Buffer): ListedProcess | PageEnd {
    this.bytes += untrusted.length;
    if (this.bytes > LIMITS.processListBytes) return { type: 'cut', limit: 'bytes' };
    const untrustedLine = parseMessage(z.unknown(), untrusted);
    const line = ProcessLine.safeParse(untrustedLine);
    if (line.data?.type === 'end') return line.data;
    if (line.data?.type === 'more') return this.turnPage(line.data);
    this.lines += 1;
    if (this.lines > LIMITS.processes) return { type: 'cut', limit: 'processes' };
    return line.success ? line.data : faultOf(untrustedLine, line.error);
  }

  /** Each page brings something, and each goes on behind the one before: so they come to an end. */
  private turnPage(more: Line<'more'>): PageEnd {
    if (this.lines === this.before || more.after <= this.after) {
      throw new ProtocolError('record-out-of-turn', 'processes: a page that leads nowhere');
    }
    this.before = this.lines;
    this.after = more.after;
    return more;
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
