import { readFile, stat } from 'node:fs/promises';
import type { Settings } from '../config/index.ts';
import { ConfigError } from '../error.ts';
import { Secret } from '../secret.ts';
import { whyForeign, whyForeignPlace } from '../trust.ts';
import type { ApiOptions, TcpOptions } from './api/server.ts';
import { secretFile } from './secret-place.ts';

/** Of the socket: for the user of lazaret and its group. */
const SOCKET_MODE = 0o660;
const SHORTEST_TOKEN = 32;

/** The API as it is configured; certificates and tokens are read now. Rejects with ConfigError or SecretError. */
export async function apiOptions({
  socket,
  listen,
  limits,
}: Settings['api']): Promise<Pick<ApiOptions, 'unix' | 'tcp' | 'limits'>> {
  return {
    unix: { path: socket, mode: SOCKET_MODE },
    ...(listen && { tcp: await tcpOptions(listen) }),
    limits,
  };
}

async function tcpOptions(listen: NonNullable<Settings['api']['listen']>): Promise<TcpOptions> {
  const { host, port, tls, tokens, certificates } = listen;
  return {
    host,
    port,
    tls: {
      cert: await read(tls.certificate),
      key: (await Secret.read(secretFile(tls.key))).reveal(),
      ...(tls.clientCa !== undefined && { clientCa: await read(tls.clientCa) }),
    },
    tokens: await Promise.all(
      tokens.map(async ({ name, role, token }) => ({
        name,
        role,
        secret: await readToken(name, secretFile(token)),
      })),
    ),
    certificates: certificates.map(({ name, role, fingerprint }) => ({ name, role, fingerprint })),
  };
}

async function readToken(name: string, place: { readonly file: string }): Promise<string> {
  const token = (await Secret.read(place)).reveal();
  if (token.length >= SHORTEST_TOKEN) return token;
  throw new ConfigError(
    'invalid',
    `${place.file}: the token ${name} has less than ${SHORTEST_TOKEN} characters: openssl rand -hex 32 makes one`,
  );
}

async function read(path: string): Promise<string> {
  try {
    const why = whyForeign(path, await stat(path)) ?? (await whyForeignPlace(path));
    if (why !== undefined) throw new ConfigError('unreadable', `${path}: ${why}`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError('unreadable', `${path}: it cannot be read: ${(cause as Error).message}`, { cause });
  }
}
