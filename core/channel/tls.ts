import type { Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { TLS } from '../../protocol/index.ts';
import { type Deadlines, step } from './deadline.ts';
import { ChannelError } from './error.ts';
import type { Identity } from './identity.ts';

/**
 * TLS 1.3 as client over a resynced socket. Any key is taken here: who the agent is gets decided at the login,
 * by its key, and the handshake has proved that it holds that key. Throws ChannelError.
 */
export function secure(
  socket: Socket,
  identity: Identity,
  deadlines: Deadlines,
  signal?: AbortSignal,
): Promise<TLSSocket> {
  return step<TLSSocket>(deadlines.tls, signal, silentHandshake, (settle) => {
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
      const fault = faultOf(tls);
      if (fault) settle.reject(tlsFailed(fault));
      else settle.resolve(tls);
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

function faultOf(tls: TLSSocket): string | undefined {
  if (tls.alpnProtocol !== TLS.alpn) return 'the agent does not offer HTTP/2 (ALPN h2)';
  if (!tls.getPeerX509Certificate()) return 'the agent showed no certificate';
  return undefined;
}

/** An error on a socket also closes it, and the close is what its owner acts upon. */
export const ignoreHandled = (): undefined => undefined;

const tlsFailed = (detail: string, cause?: Error) =>
  new ChannelError(
    'tls-failed',
    `no TLS 1.3 session with the agent (${detail}): see its log in the guest, and that its version fits this host`,
    { cause },
  );

const silentHandshake = () =>
  new ChannelError('silent', 'the agent answered the resync and then fell silent in the TLS handshake');
