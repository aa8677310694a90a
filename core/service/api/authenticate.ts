/**
 * Who asks. On the unix socket: whoever the file's permissions let in, as admin. Over TLS: a bearer token
 * (RFC 6750), or a client certificate by its SHA-256 fingerprint; holding its key is proven by the handshake.
 * A token that is given decides alone, so that a wrong one is refused and not covered for by a certificate.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { ApiError } from '../error.ts';
import type { Identity, Role } from './access.ts';

/** A bearer token, by itself or by its SHA-256 in hexadecimal: then it stands in no file of this host. */
export type ApiToken = { readonly name: string; readonly role: Role } & (
  | { readonly secret: string }
  | { readonly sha256: string }
);

/** A client certificate by the SHA-256 of its DER, in hexadecimal, with or without colons. */
export interface ApiCertificate {
  readonly name: string;
  readonly fingerprint: string;
  readonly role: Role;
}

export type Authenticate = (request: IncomingMessage) => Identity | undefined;

export const LOCAL: Identity = { name: 'local', role: 'admin' };
export const byFilePermissions: Authenticate = () => LOCAL;

/** A token has at least 128 bits where each character has four. */
const LEAST_SECRET = 32;
const SHA256 = /^[0-9a-f]{64}$/;

interface Known {
  readonly digest: Buffer;
  readonly identity: Identity;
}

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

interface CertificateCheck {
  /** Certificates must be those of the configured authority as well. */
  readonly ofAuthority: boolean;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/** Throws ApiError `bad-options` when a token or a fingerprint is no such thing. */
export function byTokenOrCertificate(
  tokens: readonly ApiToken[],
  certificates: readonly ApiCertificate[],
  { ofAuthority, clock = Date.now }: CertificateCheck,
): Authenticate {
  const knownTokens = tokens.map(knownToken);
  const knownCertificates = certificates.map(knownCertificate);
  return (request) => {
    const { authorization } = request.headers;
    if (authorization === undefined) {
      const certificate = certificateOf(request, ofAuthority, clock());
      return certificate && find(knownCertificates, createHash('sha256').update(certificate).digest());
    }
    const [, token] = /^Bearer +([\x21-\x7e]{1,512}) *$/i.exec(authorization) ?? [];
    return token === undefined ? undefined : find(knownTokens, digestOf(token));
  };
}

function knownToken(token: ApiToken): Known {
  const { name, role } = token;
  if ('sha256' in token)
    return { digest: hexDigest(token.sha256, `the token ${name}`), identity: { name, role } };
  if (token.secret.length < LEAST_SECRET) {
    throw new ApiError(
      'bad-options',
      `the token ${name} is shorter than ${LEAST_SECRET} characters: make one with openssl rand -hex 32`,
    );
  }
  return { digest: digestOf(token.secret), identity: { name, role } };
}

const knownCertificate = ({ name, role, fingerprint }: ApiCertificate): Known => ({
  digest: hexDigest(fingerprint.replaceAll(':', ''), `the fingerprint of ${name}`),
  identity: { name, role },
});

function hexDigest(text: string, what: string): Buffer {
  const hex = text.toLowerCase();
  if (!SHA256.test(hex)) throw new ApiError('bad-options', `${what} is no SHA-256: 64 hexadecimal digits`);
  return Buffer.from(hex, 'hex');
}

/** Compares with every one, each in constant time, so that the time tells nothing of which are close. */
function find(known: readonly Known[], digest: Buffer): Identity | undefined {
  let found: Identity | undefined;
  for (const one of known) if (timingSafeEqual(one.digest, digest)) found = one.identity;
  return found;
}

/** Its DER, when it is valid now. */
function certificateOf({ socket }: IncomingMessage, ofAuthority: boolean, now: number): Buffer | undefined {
  if (!(socket instanceof TLSSocket) || (ofAuthority && !socket.authorized)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return undefined;
  const { validFromDate, validToDate, raw } = certificate;
  return validFromDate.getTime() <= now && now <= validToDate.getTime() ? raw : undefined;
}
