/**
 * The file inventory: regular files below some roots, as NDJSON (`InventoryLine`).
 *
 * Directories wait on a stack as paths and are opened one at a time, so that neither depth nor breadth of a
 * tree costs descriptors or stack. Links are never followed; what cannot be listed becomes a fault.
 */
import { InventoryRequest, parseMessage } from '../../protocol/index.ts';
import type { Agent } from '../agent.ts';
import type { Exchange } from '../session/exchange.ts';
import { Turns } from '../session/turns.ts';
import { Walk } from './walk.ts';

/** Lines are sent in groups of about this many characters, or what there is after so long: the host awaits a sign of life. */
const GROUP_CHARACTERS = 64 * 1024;
const GROUP_MS = 1000;

/** Throws ProtocolError for a malformed request. */
export async function sendInventory(exchange: Exchange, agent: Agent): Promise<void> {
  const request = parseMessage(InventoryRequest, await exchange.body());
  const walk = new Walk(request, agent.root, (identity) => isOwn(identity, agent));
  exchange.begin('application/x-ndjson');
  let group = '';
  let begun = performance.now();
  const turns = new Turns();
  for (const line of walk.lines()) {
    group += line;
    if (group.length >= GROUP_CHARACTERS || performance.now() - begun > GROUP_MS) {
      await exchange.write(group);
      group = '';
      begun = performance.now();
    }
    await turns.next(exchange.signal);
  }
  await exchange.write(group);
  exchange.end();
}

/** The agent's state, and where it works at this moment, are nothing of the guest's. */
function isOwn(identity: string, { protection, actor }: Agent): boolean {
  return protection.owns(identity) || actor.workplaces.has(identity);
}
