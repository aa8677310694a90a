/**
 * Who this agent is: an id, and a key with a self-signed certificate, both made at its first start, and the machine that
 * they were made for. A clone starts with all of it on a machine with another firmware UUID, and becomes an agent of
 * its own; a guest that was reverted, restored in place or migrated has the UUID that it had, and stays the same one.
 */
import { createHash, createPrivateKey, randomUUID, webcrypto, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { Journal } from './act/journal.ts';
import { forgetAllegiance } from './allegiance.ts';
import { StartError } from './error.ts';
import { isUuid } from './machine.ts';
import { readIfThere, writeDurably } from './state.ts';

const FILE = 'identity.json';
const MACHINE = 'smbios-uuid';
const Stored = z.strictObject({ id: z.uuid(), key: z.string(), certificate: z.string() });
type Stored = z.output<typeof Stored>;

/** The key and certificate in PEM. The host pins the key; nothing in the certificate but the key matters. */
export interface Identity extends Stored {
  /** SHA-256 of the public key (SPKI, DER), lower-case hex. */
  readonly keyId: string;
}

export interface IdentityPlace {
  /** The state directory. */
  readonly state: string;
  /** With nothing left unfinished. */
  readonly journal: Journal;
  /** The firmware's UUID, lower case, where it is known. */
  readonly smbiosUuid: string | undefined;
}

/** The identity of this agent on this machine, made when there is none or it was made on another. Throws StartError. */
export async function settleIdentity(place: IdentityPlace, log: (line: string) => void): Promise<Identity> {
  const { state, smbiosUuid } = place;
  const text = readIfThere(join(state, FILE));
  if (text === undefined) return keepNew(place);
  const madeFor = readIfThere(join(state, MACHINE))?.trim();
  if (smbiosUuid === undefined || madeFor === smbiosUuid) return readIdentity(text, join(state, FILE));
  if (madeFor !== undefined && isUuid(madeFor)) {
    log(
      `this is a copy of the guest ${madeFor}, with the firmware UUID ${smbiosUuid}: it gets a key of its own`,
    );
    return renewIdentity(place);
  }
  // Of a release that did not write it down, or of a machine that did not tell.
  writeDurably(state, MACHINE, `${smbiosUuid}\n`);
  return readIdentity(text, join(state, FILE));
}

/**
 * Makes another agent of this one: a new id and key, no host that it obeys, no commands that it remembers. Throws
 * StartError, and changes nothing then, when a command is not finished.
 */
export async function renewIdentity(place: IdentityPlace): Promise<Identity> {
  const { state, journal } = place;
  if (!journal.isFinished) {
    const advice = 'start the agent, which brings it to its end, and stop it';
    throw new StartError('no-state', `a command in ${state} is not finished: ${advice}`);
  }
  return keepNew(place, () => {
    forgetAllegiance(state);
    journal.clear();
  });
}

/** The UUID is written last: a clone that is interrupted before that begins again. */
async function keepNew(
  { state, smbiosUuid }: IdentityPlace,
  forget: () => void = () => undefined,
): Promise<Identity> {
  const identity = await makeIdentity();
  writeDurably(state, FILE, JSON.stringify(identity));
  forget();
  if (smbiosUuid !== undefined) writeDurably(state, MACHINE, `${smbiosUuid}\n`);
  return withKeyId(identity);
}

function readIdentity(text: string, path: string): Identity {
  try {
    const identity = Stored.parse(JSON.parse(text));
    if (new X509Certificate(identity.certificate).checkPrivateKey(createPrivateKey(identity.key)))
      return withKeyId(identity);
    throw new Error('its key and its certificate do not belong together');
  } catch (cause) {
    const advice = 'restore it, or remove it to become a new agent, which the host must enrol anew';
    throw new StartError('no-state', `${path} is not readable as an identity: ${advice}`, { cause });
  }
}

function withKeyId(stored: Stored): Identity {
  const spki = new X509Certificate(stored.certificate).publicKey.export({ type: 'spki', format: 'der' });
  return { ...stored, keyId: createHash('sha256').update(spki).digest('hex') };
}

async function makeIdentity(): Promise<Stored> {
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
