import type { LoginRequest, ProofParties } from '../../protocol/index.ts';
import type { Logger } from '../api/index.ts';
import { ChannelError } from '../channel/error.ts';
import { admitLogin, checkFirmware, enrolLogin, isPinned, withoutProof } from '../channel/login.ts';
import type { Domain } from '../channel/session.ts';
import { isUnwritten } from '../error.ts';
import type { EnrolmentEvent, EnrolmentStore } from '../store/enrolments.ts';
import type { VmRecord } from '../store/records.ts';
import type { VmStore } from '../store/vms.ts';
import { type CheckedProof, checkProofs, decide, type EnrolmentMode, refusal } from './decide.ts';

export interface GateParts {
  readonly vms: VmStore;
  readonly enrolments: EnrolmentStore;
  readonly mode: EnrolmentMode;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

type Log = (event: EnrolmentEvent) => void;

interface Admitted {
  readonly record: VmRecord;
  /** How it became enrolled, if it was not before. */
  readonly by?: 'token' | 'first-use';
}

/** Decides about logins, and keeps what was decided: a guest that is let in is pinned before it hears of it. */
export class EnrolmentGate {
  private readonly parts: GateParts;

  constructor(parts: GateParts) {
    this.parts = parts;
  }

  /**
   * The record of a guest that is let in, durable. Its token is used up in the same transaction. One that is not
   * let in is remembered as pending. Throws ChannelError (`key-changed`, `identity-mismatch`, `not-enrolled`,
   * `token-…`) or StoreError.
   */
  admit(domain: Domain, untrustedLogin: LoginRequest, parties: ProofParties): VmRecord {
    const { logger } = this.parts;
    const result = this.decided(domain, untrustedLogin, parties);
    if (result instanceof ChannelError) {
      logger.warn(result.message);
      throw result;
    }
    const { record, by } = result;
    if (by)
      logger.info('a guest was enrolled', {
        vm: record.id,
        name: record.name,
        agentKey: record.agentKey,
        by,
      });
    return record;
  }

  /**
   * A guest whose key is pinned already is let in on a disk that takes no writes as well: that it was seen is all that
   * would be kept. Whoever is to be enrolled, or uses a token up, is not.
   */
  private decided(
    domain: Domain,
    untrustedLogin: LoginRequest,
    parties: ProofParties,
  ): Admitted | ChannelError {
    const { vms, enrolments, clock } = this.parts;
    try {
      return enrolments.change((log) => this.decide(domain, untrustedLogin, parties, log));
    } catch (error) {
      const known = vms.find(domain.id);
      const { agentKey } = parties;
      if (!isUnwritten(error) || !isPinned(known) || known.agentKey !== agentKey) throw error;
      return { record: admitLogin(domain, known, untrustedLogin, agentKey, clock()) };
    }
  }

  /** What is refused is written down too, and so must not be thrown in here. */
  private decide(
    domain: Domain,
    untrustedLogin: LoginRequest,
    parties: ProofParties,
    log: Log,
  ): Admitted | ChannelError {
    const { vms, enrolments, mode, clock } = this.parts;
    const { agentKey } = parties;
    checkFirmware(domain, untrustedLogin);
    const known = vms.find(domain.id);
    const own = enrolments.tokensOf(domain.id);
    const others = () => enrolments.tokensOfOthers(domain.id);
    const proof = checkProofs(untrustedLogin.enrolment?.proofs, own, others, parties, clock());
    const tokenAwaited = own.some(({ usedAt }) => usedAt === undefined);
    const decision = decide({ mode, known, agentKey, proof: proof.state, tokenAwaited });
    if (decision.kind === 'refuse') {
      this.remember(domain, untrustedLogin, agentKey, decision.code);
      return refusal(decision.code, domain.name, agentKey);
    }
    if (decision.kind === 'enrol') return this.enrol(domain, untrustedLogin, agentKey, proof, log);
    const record = admitLogin(domain, known, untrustedLogin, agentKey, clock());
    vms.save(record);
    return { record };
  }

  private enrol(
    domain: Domain,
    untrustedLogin: LoginRequest,
    agentKey: string,
    { state, token }: CheckedProof,
    log: Log,
  ): Admitted {
    const { vms, enrolments, clock } = this.parts;
    const now = clock();
    const record = enrolLogin(domain, vms.find(domain.id), untrustedLogin, agentKey, now);
    const by = state === 'valid' ? 'token' : 'first-use';
    if (token && state === 'valid') enrolments.useToken(token.id, now);
    vms.save(record);
    enrolments.dropPending(domain.id);
    log({ id: domain.id, event: 'enrolled', at: now, agentKey, detail: by });
    return { record, by };
  }

  private remember(domain: Domain, untrustedLogin: LoginRequest, agentKey: string, reason: string): void {
    this.parts.enrolments.addPending({
      vm: domain.id,
      name: domain.name,
      socket: domain.socket,
      agentKey,
      login: withoutProof(untrustedLogin),
      reason,
      lastSeen: this.parts.clock(),
    });
  }
}
