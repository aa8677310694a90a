/**
 * The login request: a stream that lives as long as the session. The agent's lines say who it is, then that it
 * is still there; the host's first line accepts or refuses. The stream's end is the session's.
 */
import { readFileSync } from 'node:fs';
import {
  DEADLINES,
  encodeLine,
  LineSplitter,
  LoginAnswer,
  type LoginRequest,
  PROTOCOL_VERSION,
  ProtocolError,
  parseMessage,
} from '../../protocol/index.ts';
import { VERSION } from '../version.ts';
import type { Exchange } from './exchange.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function loginRequest(agentId: string): LoginRequest {
  const smbiosUuid = readWord('/sys/class/dmi/id/product_uuid', UUID)?.toLowerCase();
  const machineId = readWord('/etc/machine-id', /^[0-9a-f]{32}$/);
  return {
    type: 'login',
    protocol: [PROTOCOL_VERSION],
    agent: { id: agentId, version: VERSION },
    ...(smbiosUuid && { smbiosUuid }),
    ...(machineId && { machineId }),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
  };
}

/** Undefined when there is no such file, it may not be read, or it holds something else. */
function readWord(path: string, form: RegExp): string | undefined {
  try {
    const word = readFileSync(path, 'latin1').trim();
    return form.test(word) ? word : undefined;
  } catch {
    // A container has no firmware, an image before its first boot no machine id.
    return undefined;
  }
}

/**
 * Tells the host who we are, hands its answer to `decide`, and keeps the stream alive until it ends. Rejects
 * with ProtocolError, or when the session breaks.
 */
export async function holdLogin(
  exchange: Exchange,
  request: LoginRequest,
  decide: (answer: LoginAnswer) => void,
): Promise<void> {
  exchange.begin('application/x-ndjson');
  await exchange.write(encodeLine(request));
  const heartbeat = setInterval(
    () => exchange.stream.write(encodeLine({ type: 'heartbeat' })),
    DEADLINES.heartbeat,
  );
  try {
    const lines = new LineSplitter();
    let isAnswered = false;
    for await (const chunk of exchange.received()) {
      for (const line of lines.push(chunk)) {
        if (isAnswered) throw new ProtocolError('malformed-message', 'a second answer to one login');
        decide(parseMessage(LoginAnswer, line));
        isAnswered = true;
        // The host sends nothing until it knows that we do: requests can overtake its answer.
        exchange.stream.write(encodeLine({ type: 'heartbeat' }));
      }
    }
  } finally {
    clearInterval(heartbeat);
    exchange.end();
  }
}
