/**
 * Who a guest is: the socket that the hypervisor names, the UUID that its firmware tells and the key that its
 * agent holds must agree. Enrolment pins all of them; a login that differs is refused. Who is enrolled, and by what, is
 * decided in `core/enrolment/`; where nothing else is said, the first login enrols.
 */
import { displayText, type LoginRequest } from '../../protocol/index.ts';
import type { VmRecord } from '../store/records.ts';
import { ChannelError } from './error.ts';
import type { Domain } from './session.ts';

/** Where enrolled guests are kept. `save` returns when the record is durable. */
export interface Enrolments {
  find(domainId: string): VmRecord | undefined;
  save(record: VmRecord): void;
}

/**
 * Decides about a login and returns the guest's record as it is from now on; nothing is saved here. A guest that is
 * not known, or was reset, is enrolled as it shows itself. Throws ChannelError `key-changed` or `identity-mismatch`.
 */
export function admitLogin(
  domain: Domain,
  known: VmRecord | undefined,
  untrustedLogin: LoginRequest,
  agentKey: string,
  now: number,
): VmRecord {
  if (!isPinned(known)) return enrolLogin(domain, known, untrustedLogin, agentKey, now);
  checkPinned(domain, known, untrustedLogin, agentKey);
  checkFirmware(domain, untrustedLogin);
  return {
    ...known,
    name: domain.name,
    socket: domain.socket,
    login: withoutProof(untrustedLogin),
    epoch: nextEpoch(known, untrustedLogin),
    lastSeen: now,
  };
}

/**
 * Pins what the agent shows, whatever was pinned `before`; what was known of the guest besides does not hold any more.
 * Its epoch goes on from there: an agent that stayed the same refuses one that is over. Throws ChannelError
 * `identity-mismatch`.
 */
export function enrolLogin(
  domain: Domain,
  before: VmRecord | undefined,
  untrustedLogin: LoginRequest,
  agentKey: string,
  now: number,
): VmRecord {
  checkFirmware(domain, untrustedLogin);
  return {
    id: domain.id,
    name: domain.name,
    socket: domain.socket,
    agentKey,
    login: withoutProof(untrustedLogin),
    epoch: (before?.epoch ?? 0) + 1,
    enrolledAt: now,
    lastSeen: now,
  };
}

/** Its key holds: it was enrolled, and not reset since. */
export const isPinned = (known: VmRecord | undefined): known is VmRecord =>
  known !== undefined && known.resetAt === undefined;

/** A proof has done its work when it was checked, and is not kept. */
export function withoutProof({ enrolment: _, ...login }: LoginRequest): LoginRequest {
  return login;
}

function checkPinned(domain: Domain, known: VmRecord, login: LoginRequest, agentKey: string): void {
  if (known.agentKey !== agentKey) {
    throw new ChannelError(
      'key-changed',
      `the agent of ${displayText(domain.name)} shows another key than the one it was enrolled with: if the ` +
        `guest was reinstalled, enrol it again (lazaret enrol); if not, somebody else answers (pinned ${short(known.agentKey)}, ` +
        `shown ${short(agentKey)})`,
    );
  }
  if (known.login.agent.id !== login.agent.id)
    throw mismatch(domain, 'agent id', known.login.agent.id, login.agent.id);
  const [pinned, told] = [known.login.smbiosUuid, login.smbiosUuid];
  if (!sameUuid(pinned, told)) throw mismatch(domain, 'firmware UUID', pinned, told);
}

/** Throws ChannelError `identity-mismatch` when the firmware tells another UUID than the hypervisor. */
export function checkFirmware(domain: Domain, { smbiosUuid }: LoginRequest): void {
  if (domain.uuid === undefined || sameUuid(domain.uuid, smbiosUuid)) return;
  throw mismatch(domain, 'firmware UUID', domain.uuid, smbiosUuid);
}

/** The guest was started or restored since: commands that were meant for it as it was are void. */
function nextEpoch(known: VmRecord, login: LoginRequest): number {
  return known.login.bootId === login.bootId ? known.epoch : known.epoch + 1;
}

const sameUuid = (one: string | undefined, other: string | undefined) =>
  one?.toLowerCase() === other?.toLowerCase();

const short = (key: string) => key.slice(0, 16);

const mismatch = (domain: Domain, what: string, expected = 'none', told = 'none') =>
  new ChannelError(
    'identity-mismatch',
    `the guest behind ${displayText(domain.socket)} is not ${displayText(domain.name)}: its ${what} should be ` +
      `${expected} and is ${told}; see that the socket belongs to this domain, or enrol the guest again`,
  );
