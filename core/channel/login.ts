/**
 * Who a guest is: the socket that the hypervisor names, the UUID that its firmware tells and the key that its
 * agent holds must agree. The first login pins all of them; a later one that differs is refused.
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
 * Decides about a login and returns the guest's record as it is from now on; nothing is saved here. `known` is
 * undefined at the first use, which pins what the agent shows. Throws ChannelError `key-changed` or
 * `identity-mismatch`.
 */
export function admitLogin(
  domain: Domain,
  known: VmRecord | undefined,
  untrustedLogin: LoginRequest,
  agentKey: string,
  now: number,
): VmRecord {
  if (known) checkPinned(domain, known, untrustedLogin, agentKey);
  checkUuid(domain, untrustedLogin);
  return {
    ...known,
    id: domain.id,
    name: domain.name,
    socket: domain.socket,
    agentKey,
    login: untrustedLogin,
    epoch: nextEpoch(known, untrustedLogin),
    enrolledAt: known?.enrolledAt ?? now,
    lastSeen: now,
  };
}

function checkPinned(domain: Domain, known: VmRecord, login: LoginRequest, agentKey: string): void {
  if (known.agentKey !== agentKey) {
    throw new ChannelError(
      'key-changed',
      `the agent of ${displayText(domain.name)} shows another key than the one it was enrolled with: if the ` +
        `guest was reinstalled, enrol it again; if not, somebody else answers (pinned ${short(known.agentKey)}, ` +
        `shown ${short(agentKey)})`,
    );
  }
  if (known.login.agent.id !== login.agent.id)
    throw mismatch(domain, 'agent id', known.login.agent.id, login.agent.id);
  const [pinned, told] = [known.login.smbiosUuid, login.smbiosUuid];
  if (!sameUuid(pinned, told)) throw mismatch(domain, 'firmware UUID', pinned, told);
}

function checkUuid(domain: Domain, { smbiosUuid }: LoginRequest): void {
  if (domain.uuid === undefined || sameUuid(domain.uuid, smbiosUuid)) return;
  throw mismatch(domain, 'firmware UUID', domain.uuid, smbiosUuid);
}

/** The guest was started or restored since: commands that were meant for it as it was are void. */
function nextEpoch(known: VmRecord | undefined, login: LoginRequest): number {
  if (!known) return 1;
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
