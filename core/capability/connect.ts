import { randomUUID } from 'node:crypto';
import {
  type Budget,
  DEADLINES,
  type Features,
  type InstructionName,
  type LoginRequest,
} from '../../protocol/index.ts';
import { cancelled, type Deadlines } from '../channel/deadline.ts';
import type { Identity } from '../channel/identity.ts';
import { admitLogin, type Enrolments } from '../channel/login.ts';
import { openChannel } from '../channel/open.ts';
import type { Domain, GuestSession, OpenChannel } from '../channel/session.ts';
import type { EnrolmentGate } from '../enrolment/gate.ts';
import type { LiveKeys } from '../enrolment/live-keys.ts';
import { isUnwritten } from '../error.ts';
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
  /** Decides who is enrolled, and keeps it. Without one, the first login enrols. */
  readonly gate?: Pick<EnrolmentGate, 'admit'>;
  /** Hears of each session, from its acceptance to its end. Without it, clones are not noticed. */
  readonly liveKeys?: Pick<LiveKeys, 'enter'>;
}

/** A guest that was logged in and whose agent holds us to the instruction set. Whoever has it closes its session. */
export interface ConnectedGuest {
  readonly domain: Domain;
  readonly vm: VmRecord;
  readonly session: GuestSession;
  readonly features: Features;
  readonly instructionSet: InstructionSet;
  /** Why nothing may be done to it at this moment; undefined when something may. */
  readonly whySuspended?: () => string | undefined;
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
    // As it is now: it may have been suspended meanwhile.
    const vm = { ...(enrolments.find(domain.id) ?? admitted), features, instructionSet };
    keepIfPossible(() => enrolments.save(vm));
    const whySuspended = () => enrolments.find(domain.id)?.suspended?.reason;
    return { domain, vm, session, features, instructionSet, whySuspended };
  } catch (error) {
    await channel.close();
    throw signal?.aborted ? cancelled(signal) : error;
  } finally {
    signal?.removeEventListener('abort', closeOnAbort);
  }
}

/** What the guest can do is asked at each connection: a disk that takes no writes keeps nobody from being looked at. */
function keepIfPossible(save: () => void): void {
  try {
    save();
  } catch (error) {
    if (!isUnwritten(error)) throw error;
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
  options: ConnectOptions,
): Promise<{ session: GuestSession; admitted: VmRecord }> {
  let admitted: VmRecord | undefined;
  const session = await channel.login(async (untrustedLogin, agentKey) => {
    admitted = admit(domain, untrustedLogin, agentKey, options);
    return { session: randomUUID(), epoch: admitted.epoch };
  });
  if (!admitted) throw new TypeError('a login was accepted without having been decided');
  const { id: vm, name } = domain;
  const { agentKey, login } = admitted;
  const live = options.liveKeys?.enter({ vm, name, agentKey, agentId: login.agent.id });
  if (live) void session.ended.then(() => live[Symbol.dispose]());
  return { session, admitted };
}

function admit(
  domain: Domain,
  untrustedLogin: LoginRequest,
  agentKey: string,
  options: ConnectOptions,
): VmRecord {
  const { identity, enrolments, clock, gate } = options;
  if (gate) return gate.admit(domain, untrustedLogin, { agentKey, hostKey: identity.keyId });
  const admitted = admitLogin(domain, enrolments.find(domain.id), untrustedLogin, agentKey, clock());
  enrolments.save(admitted);
  return admitted;
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
