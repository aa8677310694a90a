/**
 * Enrolment by a one-time token, without the guest's network. The host makes a token for one VM and hands it
 * into that VM (SMBIOS, fw_cfg, a file); the agent proves at its login that it has it, and never sends it:
 *
 *   token   "lazaret1_" and 160 random bits in base32 (RFC 4648, lower case, no padding)
 *   key     HMAC-SHA-256(key = "lazaret enrolment key v1", the token's ASCII)       all that the host keeps
 *   proof   HMAC-SHA-256(key, "lazaret enrolment proof v1" 00 AGENT HOST)           in the login request
 *
 * AGENT and HOST are the SHA-256s (32 bytes each) of both sides' public keys (SPKI, DER). Both learn the other's
 * from TLS, in which each has proved to hold its key: so a proof is worth nothing to another agent, nor at another
 * host. 160 bits leave nothing to guess, so no slow derivation is needed.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** The name under which the host hands the token in: of the systemd credential, and in fw_cfg below `opt/org.lazaret/`. */
export const TOKEN_CREDENTIAL = 'lazaret.enrolment';
export const TOKEN_FW_CFG = 'opt/org.lazaret/enrolment';
/** Before `name=value` in an SMBIOS OEM string (type 11), as systemd has it; `.binary`: the value is base64. */
export const OEM_CREDENTIAL = 'io.systemd.credential:';
export const OEM_CREDENTIAL_BINARY = 'io.systemd.credential.binary:';

const TOKEN_BYTES = 20;
const PREFIX = 'lazaret1_';
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';
const BITS_PER_DIGIT = 5;
const KEY_CONTEXT = 'lazaret enrolment key v1';
const PROOF_CONTEXT = 'lazaret enrolment proof v1\0';
const TOKEN = new RegExp(`^${PREFIX}[a-z2-7]{${(TOKEN_BYTES * 8) / BITS_PER_DIGIT}}$`);

export const isEnrolmentToken = (text: string): boolean => TOKEN.test(text);

export const newEnrolmentToken = (): string => PREFIX + base32(randomBytes(TOKEN_BYTES));

/** What proofs are made and checked with: 32 bytes. */
export const enrolmentKey = (token: string): Buffer =>
  createHmac('sha256', KEY_CONTEXT).update(token, 'latin1').digest();

/** The two public keys that a proof is bound to: SHA-256, lower-case hex. */
export interface ProofParties {
  readonly agentKey: string;
  readonly hostKey: string;
}

/** In lower-case hex. */
export const enrolmentProof = (key: Uint8Array, parties: ProofParties): string =>
  proofBytes(key, parties).toString('hex');

/** Compares in constant time. */
export function isEnrolmentProof(untrusted: string, key: Uint8Array, parties: ProofParties): boolean {
  const shown = Buffer.from(untrusted, 'hex');
  const expected = proofBytes(key, parties);
  return shown.length === expected.length && timingSafeEqual(shown, expected);
}

const proofBytes = (key: Uint8Array, { agentKey, hostKey }: ProofParties): Buffer =>
  createHmac('sha256', key)
    .update(PROOF_CONTEXT, 'latin1')
    .update(agentKey, 'hex')
    .update(hostKey, 'hex')
    .digest();

function base32(bytes: Uint8Array): string {
  let bits = BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  let text = '';
  for (let left = bytes.length * 8; left > 0; left -= BITS_PER_DIGIT) {
    text = ALPHABET.charAt(Number(bits % 32n)) + text;
    bits /= 32n;
  }
  return text;
}
