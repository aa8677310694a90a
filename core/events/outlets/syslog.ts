/**
 * Events to a syslog receiver: TCP with octet counting (RFC 6587, section 3.4.1), the same within TLS (RFC 5425), or
 * UDP (RFC 5426). Octet counting is `LENGTH SP MESSAGE`, one after the other.
 *
 * Syslog has no acknowledgements: bytes that the kernel took may never be read. So each batch has a connection of its
 * own, which is closed on our side and counts as delivered when the receiver closes its side in order, as it does when
 * it has read all of it. A receiver that never does can be written to with `confirm: false`; UDP never confirms.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterPendingInput } from '../../channel/deadline.ts';
import { DeliveryError } from '../../error.ts';
import type { BatchLimit, EventOutlet, StoredEvent } from '../outbox/outlet.ts';
import { type SyslogHeader, syslogFormat } from './syslog-message.ts';
import { readTlsFiles, type TlsFiles } from './tls-files.ts';

export interface SyslogOptions extends SyslogHeader, TlsFiles {
  /** `tcp://host:port`, `tls://…` or `udp://…`. */
  readonly address: string;
  /** TCP and TLS: wait until the receiver has closed the connection, which shows that it read everything. */
  readonly confirm?: boolean;
  /** For one batch, in milliseconds. */
  readonly timeout?: number;
  readonly batch?: BatchLimit;
}

interface Receiver {
  readonly host: string;
  readonly port: number;
}

interface StreamOptions extends Receiver {
  /** The event after which bytes can be sent. */
  readonly connected: 'connect' | 'secureConnect';
  readonly confirm: boolean;
}

const BATCH: BatchLimit = { events: 500, bytes: 2 ** 20 };
const TIMEOUT_MS = 30_000;
const SHORTEST_PAUSE_MS = 20;
/** Of one datagram over IPv4. */
const MOST_UDP_BYTES = 65_507;

/** Throws DeliveryError `bad-options` for an address that it does not understand. */
export function syslogOutlet(options: SyslogOptions): EventOutlet {
  const { scheme, ...receiver } = parse(options.address);
  const format = syslogFormat(options);
  const confirm = options.confirm ?? true;
  return {
    name: 'syslog',
    batch: options.batch ?? BATCH,
    deliver: async (batch, signal) => {
      const ends = AbortSignal.any([signal, AbortSignal.timeout(options.timeout ?? TIMEOUT_MS)]);
      if (scheme === 'udp') return sendDatagrams(receiver, batch.map(format), ends);
      const secure = scheme === 'tls';
      const socket = secure ? await openTls(receiver, options) : connectTcp(receiver);
      const stream = { ...receiver, confirm, connected: secure ? 'secureConnect' : 'connect' } as const;
      await sendStream(socket, frame(batch, format), stream, ends);
    },
  };
}

function parse(address: string): Receiver & { readonly scheme: 'tcp' | 'tls' | 'udp' } {
  const [, scheme, host = '', port] =
    /^(tcp|tls|udp):\/\/(\[[0-9a-f:.]+\]|[^\s/:@[\]]+):(\d{1,5})\/?$/i.exec(address) ?? [];
  const name = scheme?.toLowerCase();
  const known = name === 'tcp' || name === 'tls' || name === 'udp';
  if (!known || Number(port) < 1 || Number(port) > 65_535) {
    throw new DeliveryError(
      'bad-options',
      `${address} is no address such as tcp://host:514, tls://host:6514 or udp://host:514`,
    );
  }
  return { scheme: name, host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

function frame(batch: readonly StoredEvent[], format: (event: StoredEvent) => string): string {
  // Messages are ASCII: as many octets as characters.
  return batch.map(format).reduce((frames, message) => `${frames}${message.length} ${message}`, '');
}

async function openTls({ host, port }: Receiver, files: TlsFiles): Promise<Socket> {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return connectTls({ host, port, ...servername, ...(await readTlsFiles(files)) });
}

/**
 * Writes everything, closes our side, and waits for the other. A receiver that closes with something unread makes its
 * kernel answer with a reset, which is an error here; but only when our bytes had arrived by then. Hence the pause before
 * our side is closed: what closes before that had not waited for the end.
 */
function sendStream(
  socket: Socket,
  text: string,
  { connected, confirm, ...receiver }: StreamOptions,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    let pause: NodeJS.Timeout | undefined;
    let [saidAll, confirmed] = [false, false];
    const fail = (cause: unknown) => {
      socket.destroy();
      reject(unreachable(receiver, cause));
    };
    const onAbort = () => fail(signal.reason);
    const sent = () => {
      if (confirm)
        pause = closeLater(socket, began, () => {
          saidAll = true;
        });
      else {
        confirmed = true;
        socket.destroySoon();
      }
    };
    socket.on(connected, () => socket.write(text, 'latin1', (error) => error ?? sent()));
    socket.on('error', fail);
    socket.on('end', () => {
      confirmed ||= saidAll;
    });
    socket.on('close', () => {
      clearTimeout(pause);
      signal.removeEventListener('abort', onAbort);
      if (confirmed) resolve();
      else fail(new Error('it closed the connection before it had everything'));
    });
    socket.resume();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

function closeLater(socket: Socket, began: number, closing: () => void): NodeJS.Timeout {
  const close = () => {
    closing();
    socket.end();
  };
  const milliseconds = Math.max(SHORTEST_PAUSE_MS, 2 * (performance.now() - began));
  return setTimeout(() => afterPendingInput(close), milliseconds);
}

async function sendDatagrams(
  receiver: Receiver,
  messages: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const large = messages.find((message) => message.length > MOST_UDP_BYTES);
  if (large !== undefined) {
    throw new DeliveryError(
      'refused',
      `an event of ${large.length} bytes is too large for UDP: use tcp:// or tls://`,
    );
  }
  try {
    const { address, family } = await lookup(receiver.host);
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    try {
      // Heard through the callbacks; unheard, it would end the process.
      socket.on('error', () => undefined);
      for (const message of messages) {
        signal.throwIfAborted();
        await new Promise<void>((resolve, reject) => {
          socket.send(message, receiver.port, address, (error) => (error ? reject(error) : resolve()));
        });
      }
    } finally {
      socket.close();
    }
  } catch (cause) {
    throw unreachable(receiver, cause);
  }
}

function unreachable({ host, port }: Receiver, cause: unknown): DeliveryError {
  const late = cause instanceof Error && cause.name === 'TimeoutError';
  const said = late
    ? 'it did not take the events in time'
    : cause instanceof Error
      ? cause.message
      : String(cause);
  return new DeliveryError('unreachable', `the syslog receiver at ${host}:${port}: ${said}`, { cause });
}
