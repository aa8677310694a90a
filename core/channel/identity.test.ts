import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadIdentity } from './identity.ts';

describe('the host identity', () => {
  let state: string;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'lazaret-identity-'));
  });
  afterEach(() => rmSync(state, { recursive: true, force: true }));
  const file = () => join(state, 'identity', 'host.pem');

  it('is made at first use, for its owner alone, and stays', async () => {
    const made = await loadIdentity(state);
    expect(statSync(join(state, 'identity')).mode & 0o777).toBe(0o700);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(state, 'identity'))).toEqual(['host.pem']);
    expect(await loadIdentity(state)).toEqual(made);
    const { publicKey } = new X509Certificate(made.certificate);
    expect(publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(made.keyId).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is one, though two processes make it at once', async () => {
    const both = await Promise.all([loadIdentity(state), loadIdentity(state)]);
    expect(both[0].keyId).toBe(both[1].keyId);
  });

  it.each([
    ['emptied', () => ''],
    ['cut', (pem: string) => pem.slice(0, pem.length / 2)],
    ['without its certificate', (pem: string) => pem.slice(0, pem.indexOf('-----BEGIN CERT'))],
  ])('is refused when %s, and left as it is', async (_name, damage) => {
    await loadIdentity(state);
    const damaged = damage(readFileSync(file(), 'utf8'));
    writeFileSync(file(), damaged);
    await expect(loadIdentity(state)).rejects.toMatchObject({ name: 'StoreError', code: 'corrupt' });
    expect(readFileSync(file(), 'utf8')).toBe(damaged);
  });

  it('is refused when key and certificate differ', async () => {
    await loadIdentity(state);
    const other = await loadIdentity(join(state, 'other'));
    const key = (await loadIdentity(state)).key;
    writeFileSync(file(), `${key}${other.certificate}`);
    await expect(loadIdentity(state)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('is refused when others could have read it', async () => {
    await loadIdentity(state);
    chmodSync(file(), 0o644);
    await expect(loadIdentity(state)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('says so where it cannot be written', async () => {
    writeFileSync(join(state, 'identity'), 'a file in its place');
    await expect(loadIdentity(state)).rejects.toMatchObject({ code: 'not-writable' });
  });
});
