import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  enrolmentKey,
  enrolmentProof,
  isEnrolmentProof,
  isEnrolmentToken,
  newEnrolmentToken,
} from './enrolment.ts';
import { LoginRequest } from './messages.ts';

const TOKEN = 'lazaret1_abcdefghijklmnopqrstuvwxyz234567';
const PARTIES = { agentKey: '11'.repeat(32), hostKey: '22'.repeat(32) };
const KEY = '0c981772181ac9c7c6e22d6bdcfcbd7890f955bfa7d71b54112e0a6db0c7fcb2';
const PROOF = '58cad14e84882fcf8c4d497abc1224e7761aded518f8c4d8c0b347af9bcfe229';

describe('a token', () => {
  it('is printable, has its form, and is another one each time', () => {
    const tokens = new Set(Array.from({ length: 100 }, newEnrolmentToken));
    expect(tokens.size).toBe(100);
    for (const token of tokens) expect(token).toMatch(/^lazaret1_[a-z2-7]{32}$/);
    // All 160 bits vary: each of the 32 places has taken several values.
    for (let place = 9; place < 41; place++) {
      expect(new Set([...tokens].map((token) => token[place])).size).toBeGreaterThan(8);
    }
  });

  it.each(['', 'lazaret1_', TOKEN.slice(0, -1), `${TOKEN}a`, `${TOKEN}\n`, TOKEN.toUpperCase(), ` ${TOKEN}`])(
    'is not %j',
    (text) => {
      expect(isEnrolmentToken(text)).toBe(false);
      expect(isEnrolmentToken(TOKEN)).toBe(true);
    },
  );
});

describe('a proof', () => {
  it('is that of the contract', () => {
    const key = enrolmentKey(TOKEN);
    expect(key.toString('hex')).toBe(KEY);
    expect(enrolmentProof(key, PARTIES)).toBe(PROOF);
    expect(readFileSync(new URL('./README.md', import.meta.url), 'utf8')).toContain(
      `the proof is \`${PROOF}\``,
    );
  });

  it('is right for its token and its two keys alone', () => {
    const other = '33'.repeat(32);
    expect(isEnrolmentProof(PROOF, enrolmentKey(TOKEN), PARTIES)).toBe(true);
    expect(isEnrolmentProof(PROOF, enrolmentKey(newEnrolmentToken()), PARTIES)).toBe(false);
    expect(isEnrolmentProof(PROOF, enrolmentKey(TOKEN), { ...PARTIES, agentKey: other })).toBe(false);
    expect(isEnrolmentProof(PROOF, enrolmentKey(TOKEN), { ...PARTIES, hostKey: other })).toBe(false);
    const swapped = { agentKey: PARTIES.hostKey, hostKey: PARTIES.agentKey };
    expect(isEnrolmentProof(PROOF, enrolmentKey(TOKEN), swapped)).toBe(false);
  });

  it('is nothing else, whatever that is', () => {
    const key = enrolmentKey(TOKEN);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f]{64}$/)), (untrusted) => {
        expect(isEnrolmentProof(untrusted, key, PARTIES)).toBe(untrusted === PROOF);
      }),
    );
    for (const cut of ['', PROOF.slice(0, -2), `${PROOF}00`])
      expect(isEnrolmentProof(cut, key, PARTIES)).toBe(false);
  });

  it('has one form in a login request, and need not be there', () => {
    const login = {
      type: 'login',
      protocol: [1],
      agent: { id: '6b8f7c1e-52d0-4c3a-9b7e-0d8a4f1c2e11', version: '0' },
      bootId: '9f1c2d3e-4b5a-4c6d-9e8f-aabbccddeeff',
    };
    expect(LoginRequest.safeParse(login).success).toBe(true);
    const withProofs = (proofs: unknown) =>
      LoginRequest.safeParse({ ...login, enrolment: { proofs } }).success;
    expect(withProofs([PROOF])).toBe(true);
    expect(withProofs(Array(8).fill(PROOF))).toBe(true);
    for (const proofs of [undefined, PROOF, [], Array(9).fill(PROOF)]) expect(withProofs(proofs)).toBe(false);
    for (const proof of [5, '', PROOF.toUpperCase(), `${PROOF}00`, PROOF.slice(1)])
      expect(withProofs([proof])).toBe(false);
  });
});
