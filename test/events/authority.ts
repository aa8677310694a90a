/** An authority with a certificate for 127.0.0.1 and one for a client, as PEM files in `directory`. */
import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const crypto = webcrypto as unknown as Crypto;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

export interface Pair {
  readonly cert: string;
  readonly key: string;
}
export interface Authority {
  readonly ca: string;
  readonly server: Pair;
  readonly client: Pair;
}

export async function makeAuthority(directory: string): Promise<Authority> {
  const keys = await newKeys();
  const name = 'CN=test authority';
  const root = await x509.X509CertificateGenerator.createSelfSigned(
    { ...common(name), keys, extensions: [new x509.BasicConstraintsExtension(true, undefined, true)] },
    crypto,
  );
  const ca = join(directory, 'ca.pem');
  writeFileSync(ca, root.toString('pem'));
  const issue = async (subject: string): Promise<Pair> => {
    const own = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create(
      {
        ...common(`CN=${subject}`),
        subject: `CN=${subject}`,
        issuer: name,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
      },
      crypto,
    );
    return write(directory, subject, certificate.toString('pem'), own);
  };
  return { ca, server: await issue('server'), client: await issue('client') };
}

const newKeys = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

let serial = 0;
const common = (name: string) => ({
  name,
  serialNumber: `01${String(++serial).padStart(8, '0')}`,
  notBefore: new Date(Date.now() - DAY_MS),
  notAfter: new Date(Date.now() + DAY_MS),
  signingAlgorithm: ALGORITHM,
});

async function write(
  directory: string,
  name: string,
  cert: string,
  keys: Awaited<ReturnType<typeof newKeys>>,
): Promise<Pair> {
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({
    type: 'pkcs8',
    format: 'pem',
  });
  const files = { cert: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
  writeFileSync(files.cert, cert);
  writeFileSync(files.key, key);
  return files;
}
