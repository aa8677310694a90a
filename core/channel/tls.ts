import type { Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { TLS } from '../../protocol/index.ts';
import { type Deadlines, step } from './deadline.ts';
import { ChannelError } from './error.ts';
import { type Identity, keyIdOf } from './identity.ts';

export interface Secured {
  readonly tls: TLSSocket;
  /** SHA-256 of the agent's public key. */
  readonly agentKey: string;
}

/**
 * TLS 1.3 as client over a resynced socket. Any key is taken here: who the agent is gets decided at the login,
 * by its key, and the handshake has proved that it holds that key. Throws ChannelError.
 */
export function secure(
  socket: Socket,
  identity: Identity,
  deadlines: Deadlines,
  signal?: AbortSignal,
): Promise<Secured> {
  return step<Secured>(deadlines.tls, signal, silentHandshake, (settle) => {
    const tls = connectTls({
      socket,
      key: identity.key,
      cert: identity.certificate,
      rejectUnauthorized: false,
      minVersion: TLS.minVersion,
      maxVersion: TLS.maxVersion,
      ciphers: TLS.ciphers,
      ALPNProtocols: [TLS.alpn],
    });
    const onSecure = () => {
      try {
        settle.resolve({ tls, agentKey: agentKeyOf(tls) });
      } catch (cause) {
        settle.reject(tlsFailed((cause as Error).message, cause));
      }
    };
    const onError = (cause: Error) => settle.reject(tlsFailed(cause.message, cause));
    const onClose = () => settle.reject(tlsFailed('the agent closed the channel during the handshake'));
    tls.once('secureConnect', onSecure).once('error', onError).once('close', onClose);
    return () => {
      tls.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
      // What happens until the next owner listens shows as a destroyed socket.
      tls.on('error', ignoreHandled);
    };
  });
}

function agentKeyOf(tls: TLSSocket): string {
  if (tls.alpnProtocol !== TLS.alpn) throw new Error('it does not offer HTTP/2, ALPN h2');
  const certificate = tls.getPeerX509Certificate();
  if (!certificate) throw new Error('it shows no certificate');
  return keyIdOf(certificate);
}

/** An error on a socket also closes it, and the close is what its owner acts upon. */
export const ignoreHandled = (): undefined => undefined;

const tlsFailed = (detail: string, cause?: unknown) =>
  new ChannelError(
    'tls-failed',
    `no TLS 1.3 session with the agent (${detail}): see its log in the guest, and that its version fits this host`,
    { cause },
  );

const silentHandshake = () =>
  new ChannelError('silent', 'the agent answered the resync and then fell silent in the TLS handshake');
