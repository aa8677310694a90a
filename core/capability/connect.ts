import { randomUUID } from 'node:crypto';
import { type Budget, DEADLINES, type Features, type InstructionName } from '../../protocol/index.ts';
import { cancelled, type Deadlines } from '../channel/deadline.ts';
import type { Identity } from '../channel/identity.ts';
import { admitLogin, type Enrolments } from '../channel/login.ts';
import { openChannel } from '../channel/open.ts';
import type { Domain, GuestSession, OpenChannel } from '../channel/session.ts';
import type { VmRecord } from '../store/records.ts';
import type { InstructionSet } from './instruction-set.ts';
import { type InstructionPolicy, match } from './match.ts';

/** What a guest reads in a second when nobody holds it back, at the least. */
const UNHURRIED_BYTES_PER_SECOND = 32 * 1024 * 1024;

export interface ConnectOptions {
  readonly identity: Identity;
  readonly enrolments: Enrolments;
  readonly policy: InstructionPolicy;
  /** What the engine and its plugins have a use for. */
  readonly needs: Iterable<InstructionName>;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly deadlines?: Deadlines;
  /** What the agent's bulk work may cost the guest; an agent that does not know of it ignores it. */
  readonly budget?: Budget;
}

/** A guest that was logged in and whose agent holds us to the instruction set. Whoever has it closes its session. */
export interface ConnectedGuest {
  readonly domain: Domain;
  readonly vm: VmRecord;
  readonly session: GuestSession;
  readonly features: Features;
  readonly instructionSet: InstructionSet;
}

/** Opens the channel, logs in, negotiates, grants. Throws ChannelError, and then leaves nothing open. */
export async function connectGuest(
  domain: Domain,
  options: ConnectOptions,
  signal?: AbortSignal,
): Promise<ConnectedGuest> {
  const { identity, enrolments, policy, needs } = options;
  const channel = await openChannel(domain.socket, identity, { signal, deadlines: deadlinesFor(options) });
  const closeOnAbort = () => void channel.close();
  signal?.addEventListener('abort', closeOnAbort);
  try {
    const { session, admitted } = await logIn(domain, channel, options);
    const features = await negotiate(session, signal);
    const instructionSet = match(features, policy, needs);
    await grantInstructionSet(session, instructionSet, options.budget, signal);
    const vm = { ...admitted, features, instructionSet };
    enrolments.save(vm);
    return { domain, vm, session, features, instructionSet };
  } catch (error) {
    await channel.close();
    throw signal?.aborted ? cancelled(signal) : error;
  } finally {
    signal?.removeEventListener('abort', closeOnAbort);
  }
}

/** An agent that holds itself back because we asked it to may take longer for a whole answer, though not fall silent. */
function deadlinesFor({ deadlines = DEADLINES, budget = {} }: ConnectOptions): Deadlines {
  const { cpuPercent = 100, readBytesPerSecond = UNHURRIED_BYTES_PER_SECOND } = budget;
  const longer = Math.max(1, 100 / cpuPercent, UNHURRIED_BYTES_PER_SECOND / readBytesPerSecond);
  return { ...deadlines, answer: deadlines.answer * longer };
}

/** The record is saved before the agent hears that it is accepted: what was pinned is pinned. */
async function logIn(
  domain: Domain,
  channel: OpenChannel,
  { enrolments, clock }: ConnectOptions,
): Promise<{ session: GuestSession; admitted: VmRecord }> {
  let admitted: VmRecord | undefined;
  const session = await channel.login(async (untrustedLogin, agentKey) => {
    admitted = admitLogin(domain, enrolments.find(domain.id), untrustedLogin, agentKey, clock());
    enrolments.save(admitted);
    return { session: randomUUID(), epoch: admitted.epoch };
  });
  if (!admitted) throw new TypeError('a login was accepted without having been decided');
  return { session, admitted };
}

/** Asks the agent what the guest can do. */
export function negotiate(session: GuestSession, signal?: AbortSignal): Promise<Features> {
  return session.queryFeatures(signal);
}

/** Tells the agent which instructions it will be held to, and holds us to. */
export function grantInstructionSet(
  session: GuestSession,
  { id, instructions }: InstructionSet,
  budget?: Budget,
  signal?: AbortSignal,
): Promise<void> {
  return session.grant({ id, instructions: [...instructions], ...(budget && { budget }) }, signal);
}
