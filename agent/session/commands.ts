/** The OpenC2 route: what this guest can do, and commands that change it. */
import { decodeCommand, encodeFeatures, encodeOutcome, OPENC2_CONTENT_TYPE } from '../../protocol/index.ts';
import type { StagedContent } from '../act/actor.ts';
import type { Agent } from '../agent.ts';
import { queryFeatures } from '../features.ts';
import type { Exchange } from './exchange.ts';
import type { Accepted } from './session.ts';

/** Throws ProtocolError for a malformed command; a command that is refused has an outcome that says so. */
export async function answerCommand(
  exchange: Exchange,
  agent: Agent,
  accepted: Accepted,
  staged: StagedContent,
): Promise<void> {
  const command = decodeCommand(await exchange.body());
  const answer =
    command.kind === 'query-features'
      ? encodeFeatures(command.requestId, await queryFeatures(agent))
      : encodeOutcome(command.requestId, await agent.actor.execute(command.sealed, accepted, staged));
  exchange.answerJson(answer, OPENC2_CONTENT_TYPE);
}
