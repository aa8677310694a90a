/** Who is let in: pure decisions about a login, by what is known of its VM and what its agent can prove. */
import { displayText, isEnrolmentProof, type ProofParties } from '../../protocol/index.ts';
import { ChannelError, type ChannelErrorCode } from '../channel/error.ts';
import { isPinned } from '../channel/login.ts';
import type { TokenRecord, VmRecord } from '../store/records.ts';

/**
 * How a guest becomes enrolled that is not: by a token that the host made for it, at its first login, or by an
 * operator's word. A token is good in every mode.
 */
export const ENROLMENT_MODES = ['token', 'first-use', 'manual'] as const;
export type EnrolmentMode = (typeof ENROLMENT_MODES)[number];

/** What a proof is worth. `unknown`: no token that is kept here makes it, so it says nothing. */
export type ProofState = 'none' | 'valid' | 'used' | 'expired' | 'foreign' | 'unknown';

export interface CheckedProof {
  readonly state: ProofState;
  /** The token behind it, of this VM. */
  readonly token?: TokenRecord;
}

/** Checks proofs against the tokens of their VM, and then those of `others`, to say what is wrong with them. */
export function checkProofs(
  untrustedProofs: readonly string[] | undefined,
  own: readonly TokenRecord[],
  others: () => readonly TokenRecord[],
  parties: ProofParties,
  now: number,
): CheckedProof {
  if (untrustedProofs === undefined) return { state: 'none' };
  const isProved = ({ key }: TokenRecord) =>
    untrustedProofs.some((untrusted) => isEnrolmentProof(untrusted, key, parties));
  const proved = own.filter(isProved);
  const unused = proved.find(({ usedAt }) => usedAt === undefined);
  if (unused) return { state: unused.expires <= now ? 'expired' : 'valid', token: unused };
  if (proved[0]) return { state: 'used', token: proved[0] };
  return { state: others().some(isProved) ? 'foreign' : 'unknown' };
}

export interface Circumstances {
  readonly mode: EnrolmentMode;
  readonly known: VmRecord | undefined;
  readonly agentKey: string;
  readonly proof: ProofState;
  /** A token was made for this VM and is not used: it is not enrolled without one, even in mode `first-use`. */
  readonly tokenAwaited: boolean;
}

export type RefusalCode = Extract<
  ChannelErrorCode,
  'key-changed' | 'not-enrolled' | 'token-used' | 'token-expired' | 'token-foreign' | 'token-unknown'
>;

export type Decision =
  | { readonly kind: 'log-in' }
  | { readonly kind: 'enrol'; readonly by: 'token' | 'first-use' }
  | { readonly kind: 'refuse'; readonly code: RefusalCode };

const SPOILT = { used: 'token-used', expired: 'token-expired', foreign: 'token-foreign' } as const;

export function decide({ mode, known, agentKey, proof, tokenAwaited }: Circumstances): Decision {
  const pinned = isPinned(known);
  if (pinned && known.agentKey === agentKey) return { kind: 'log-in' };
  if (proof === 'valid') return { kind: 'enrol', by: 'token' };
  // Whoever could show none instead would be better off: so these are refused in every mode.
  if (proof in SPOILT) return { kind: 'refuse', code: SPOILT[proof as keyof typeof SPOILT] };
  if (pinned) return { kind: 'refuse', code: 'key-changed' };
  if (mode === 'first-use' && !tokenAwaited) return { kind: 'enrol', by: 'first-use' };
  return { kind: 'refuse', code: proof === 'unknown' ? 'token-unknown' : 'not-enrolled' };
}

const WHY: Readonly<Record<RefusalCode, string>> = {
  'key-changed': 'shows another key than the one it was enrolled with: somebody else may be answering',
  'not-enrolled': 'is not enrolled and shows no enrolment token',
  'token-used': 'shows a token that was used already',
  'token-expired': 'shows a token that has expired',
  'token-foreign': 'shows a token that was made for another VM',
  'token-unknown': 'shows a token that this host did not make',
};

/** Says what the operator can do; the guest hears it too. */
export function refusal(code: RefusalCode, name: string, agentKey: string): ChannelError {
  const shown = displayText(name);
  return new ChannelError(
    code,
    `the agent of ${shown} ${WHY[code]}. To enrol it: a new token (lazaret enrol ${shown}) or its key ` +
      `(lazaret enrol ${shown} --accept ${agentKey})`,
  );
}
