/** Who this agent is: an id, and a key with a self-signed certificate, both made at its first start. */
import { createPrivateKey, randomUUID, webcrypto, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { StartError } from './error.ts';
import { readIfThere, writeDurably } from './state.ts';

const FILE = 'identity.json';
const Stored = z.strictObject({ id: z.uuid(), key: z.string(), certificate: z.string() });

/** The key and certificate in PEM. The host pins the key; nothing in the certificate but the key matters. */
export type Identity = z.output<typeof Stored>;

export async function loadIdentity(state: string): Promise<Identity> {
  const text = readIfThere(join(state, FILE));
  if (text !== undefined) return readIdentity(text, join(state, FILE));
  const identity = await makeIdentity();
  writeDurably(state, FILE, JSON.stringify(identity));
  return identity;
}

function readIdentity(text: string, path: string): Identity {
  try {
    const identity = Stored.parse(JSON.parse(text));
    if (new X509Certificate(identity.certificate).checkPrivateKey(createPrivateKey(identity.key)))
      return identity;
    throw new Error('its key and its certificate do not belong together');
  } catch (cause) {
    const advice = 'restore it, or remove it to become a new agent, which the host must enrol anew';
    throw new StartError('no-state', `${path} is not readable as an identity: ${advice}`, { cause });
  }
}

async function makeIdentity(): Promise<Identity> {
  // Both are large, and needed once in the life of an agent.
  await import('reflect-metadata');
  const { PemConverter, X509CertificateGenerator, cryptoProvider } = await import('@peculiar/x509');
  cryptoProvider.set(webcrypto as Crypto);
  const id = randomUUID();
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomUUID().replaceAll('-', ''),
    name: `CN=lazaret-agent ${id}`,
    // The key is pinned and never expires by date: a guest's clock may say anything.
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2099-12-31T23:59:59Z'),
    signingAlgorithm: algorithm,
    keys,
  });
  const key = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { id, key, certificate: certificate.toString('pem') };
}
