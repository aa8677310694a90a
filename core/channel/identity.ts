/**
 * The host's identity: a P-256 key and a self-signed certificate around it, in one PEM file. Agents pin the key
 * at their first login, so the file is made once and never replaced: a host that lost it must be enrolled in
 * each guest again.
 */
import { createHash, createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../error.ts';

export interface Identity {
  /** SHA-256 of the public key (SPKI, DER), lower-case hex. */
  readonly keyId: string;
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
}

/** Loads the identity below `stateDirectory`, making it at first use. Throws StoreError. */
export async function loadIdentity(stateDirectory: string): Promise<Identity> {
  const directory = join(stateDirectory, 'identity');
  const file = join(directory, 'host.pem');
  const existing = readIdentity(file);
  if (existing) return existing;
  const pem = await makeIdentity();
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
    placeOnce(directory, file, pem);
  } catch (cause) {
    throw new StoreError(
      'not-writable',
      `cannot write the host's key to ${file}: make the state directory writable for this user`,
      { cause },
    );
  }
  const placed = readIdentity(file);
  if (!placed) throw new StoreError('not-writable', `${file} vanished while it was made: try again`);
  return placed;
}

/** The SHA-256 by which a key is known. */
export function keyIdOf(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
}

function readIdentity(file: string): Identity | undefined {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StoreError('not-writable', `cannot read the host's key in ${file}: check its owner and mode`, {
      cause,
    });
  }
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new StoreError(
      'corrupt',
      `others can read the host's key in ${file}: if none did, run chmod 600 on it; else remove it and enrol all guests again`,
    );
  }
  return parseIdentity(file, pem);
}

function parseIdentity(file: string, pem: string): Identity {
  try {
    const key = createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem' }).toString();
    const certificate = new X509Certificate(pem);
    if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new Error('key and certificate differ');
    return { keyId: keyIdOf(certificate), key, certificate: certificate.toString() };
  } catch (cause) {
    throw new StoreError(
      'corrupt',
      `${file} does not hold a key and its certificate: restore it from a backup, or remove it and enrol all guests again`,
      { cause },
    );
  }
}

/** Writes the file whole or not at all, and leaves one that another process placed meanwhile. */
function placeOnce(directory: string, file: string, content: string): void {
  const temporary = join(directory, `.host-${randomBytes(8).toString('hex')}.pem`);
  const descriptor = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(descriptor, content);
    fsyncSync(descriptor);
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    closeSync(descriptor);
    rmSync(temporary);
  }
  const parent = openSync(directory, 'r');
  fsyncSync(parent);
  closeSync(parent);
}

/** A fresh key and its certificate, PEM after PEM. The libraries are loaded here alone: they are needed once. */
async function makeIdentity(): Promise<string> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const crypto = webcrypto as unknown as Crypto;
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=lazaret-host',
      serialNumber: `01${randomBytes(15).toString('hex')}`,
      notBefore: new Date(0),
      // Nobody checks it: the key is pinned. RFC 5280, 4.1.2.5: no well-defined expiration.
      notAfter: new Date('9999-12-31T23:59:59Z'),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.BasicConstraintsExtension(false, undefined, true)],
    },
    crypto,
  );
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  return `${key.export({ type: 'pkcs8', format: 'pem' })}${certificate.toString('pem')}\n`;
}
