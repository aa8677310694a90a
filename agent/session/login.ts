/**
 * The login request: a stream that lives as long as the session. The agent's lines say who it is, then that it
 * is still there; the host's first line accepts or refuses. The stream's end is the session's.
 */
import {
  DEADLINES,
  encodeLine,
  enrolmentKey,
  enrolmentProof,
  LineSplitter,
  LoginAnswer,
  type LoginRequest,
  PROTOCOL_VERSION,
  ProtocolError,
  parseMessage,
} from '../../protocol/index.ts';
import type { Agent } from '../agent.ts';
import { bootId, machineId } from '../machine.ts';
import { VERSION } from '../version.ts';
import type { Exchange } from './exchange.ts';

/** To a host with this key (SHA-256 of it, hex). */
export function loginRequest({ identity, smbiosUuid, tokens }: Agent, hostKey: string): LoginRequest {
  const machine = machineId();
  const parties = { agentKey: identity.keyId, hostKey };
  const proofs = tokens.find().map((token) => enrolmentProof(enrolmentKey(token), parties));
  return {
    type: 'login',
    protocol: [PROTOCOL_VERSION],
    agent: { id: identity.id, version: VERSION },
    ...(smbiosUuid && { smbiosUuid }),
    ...(machine && { machineId: machine }),
    bootId: bootId(),
    ...(proofs.length > 0 && { enrolment: { proofs } }),
  };
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
