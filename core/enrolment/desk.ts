import { enrolmentKey, newEnrolmentToken } from '../../protocol/index.ts';
import { EnrolmentError } from '../error.ts';
import type { EnrolmentStore } from '../store/enrolments.ts';
import type { PendingGuest, VmRecord } from '../store/records.ts';
import type { VmStore } from '../store/vms.ts';
import { TOKEN_LIFETIME } from './lifetime.ts';

/** Milliseconds since 1970. The token is shown once and kept nowhere. */
export interface IssuedToken {
  readonly token: string;
  readonly expires: number;
}

export interface DeskParts {
  readonly vms: VmStore;
  readonly enrolments: EnrolmentStore;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** What an operator does about enrolment. VMs are named by their ids. Every method throws StoreError. */
export class EnrolmentDesk {
  private readonly parts: DeskParts;

  constructor(parts: DeskParts) {
    this.parts = parts;
  }

  /**
   * Makes a one-time token for a VM, known or not; one that was made before and not used is void. `lifetime` in
   * milliseconds. Throws EnrolmentError `bad-lifetime`.
   */
  createToken(vm: string, lifetime: number = TOKEN_LIFETIME.default): IssuedToken {
    const { least, most } = TOKEN_LIFETIME;
    if (!(Number.isSafeInteger(lifetime) && lifetime >= least && lifetime <= most)) {
      throw new EnrolmentError('bad-lifetime', 'a token is good for one minute at least and 90 days at most');
    }
    const { enrolments, clock } = this.parts;
    const token = newEnrolmentToken();
    const createdAt = clock();
    const expires = createdAt + lifetime;
    enrolments.change((log) => {
      enrolments.addToken({ vm, key: enrolmentKey(token), createdAt, expires });
      log({ id: vm, event: 'token-made', at: createdAt });
    });
    return { token, expires };
  }

  /** Guests that logged in and were not let in, the latest first. */
  pending(): readonly PendingGuest[] {
    return this.parts.enrolments.pending();
  }

  /**
   * Pins the key with this fingerprint (SHA-256, hex; colons do not count), which must be pending for the VM; for the
   * key that is pinned already, lifts a suspension. Throws EnrolmentError `bad-fingerprint` or `not-pending`.
   */
  accept(vm: string, fingerprint: string): VmRecord {
    const agentKey = readFingerprint(fingerprint);
    const { vms, enrolments, clock } = this.parts;
    const at = clock();
    return enrolments.change((log) => {
      const accepted = acceptedRecord(enrolments.findPending(vm, agentKey), vms.find(vm), agentKey, at);
      vms.save(accepted);
      enrolments.dropPending(vm);
      enrolments.dropTokens(vm);
      log({ id: vm, event: 'accepted', at, agentKey });
      return accepted;
    });
  }

  /**
   * Forgets the key of a VM, who waits under it and its unused token; what was found in it stays. A session that is
   * open goes on: its holder is to close it. Throws EnrolmentError `not-known`.
   */
  reset(vm: string): void {
    const { vms, enrolments, clock } = this.parts;
    const at = clock();
    enrolments.change((log) => {
      const known = vms.find(vm);
      if (!known) throw new EnrolmentError('not-known', `no VM with the id ${vm} was ever enrolled`);
      vms.save({ ...known, resetAt: at });
      enrolments.dropPending(vm);
      enrolments.dropTokens(vm);
      log({ id: vm, event: 'reset', at, agentKey: known.agentKey });
    });
  }
}

function acceptedRecord(
  waiting: PendingGuest | undefined,
  known: VmRecord | undefined,
  agentKey: string,
  at: number,
): VmRecord {
  if (waiting) {
    const { vm: id, name, socket, login, lastSeen } = waiting;
    const epoch = (known?.epoch ?? 0) + 1;
    return { id, name, socket, agentKey, login, epoch, enrolledAt: at, lastSeen };
  }
  if (known?.agentKey === agentKey) {
    const { suspended: _, resetAt: __, ...rest } = known;
    return rest;
  }
  throw new EnrolmentError(
    'not-pending',
    'no agent with this key waits for this VM: lazaret enrol --pending lists those that do, let the guest connect first',
  );
}

/** The fingerprint as it is kept: 64 lower-case hexadecimal digits. Throws EnrolmentError `bad-fingerprint`. */
export function readFingerprint(text: string): string {
  const hex = text
    .replace(/^SHA256:/i, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  throw new EnrolmentError(
    'bad-fingerprint',
    'a fingerprint has 64 hexadecimal digits: lazaret enrol --pending shows them, the agent logs its own when it starts',
  );
}
