import type { Duplex } from 'node:stream';
import type { Agent } from './agent.ts';
import { Session } from './session/session.ts';
import { Resync } from './transport/resync.ts';

/** Serves one session after another on a line to the host. */
export function serve(line: Duplex, agent: Agent): Resync {
  return new Resync(line, (stream) => {
    const session = new Session(agent, stream);
    return () => session.end();
  });
}
