import { connect as connectSocket, type Socket } from 'node:net';
import { DEADLINES, displayText } from '../../protocol/index.ts';
import { type Deadlines, step } from './deadline.ts';
import { ChannelError } from './error.ts';
import type { Identity } from './identity.ts';
import { Link } from './link.ts';
import { logIn } from './login-exchange.ts';
import { resync } from './resync.ts';
import type { OpenChannel } from './session.ts';
import { ignoreHandled, secure } from './tls.ts';

export interface OpenOptions {
  /** Its abort ends the opening; a channel that is open is ended by its own methods. */
  readonly signal?: AbortSignal | undefined;
  readonly deadlines?: Deadlines;
}

/** Opens the channel behind a unix socket: bytes, resync, TLS, HTTP/2. Throws ChannelError. */
export async function openChannel(
  socketPath: string,
  identity: Identity,
  { signal, deadlines = DEADLINES }: OpenOptions = {},
): Promise<OpenChannel> {
  const socket = await connect(socketPath, deadlines, signal);
  try {
    await resync(socket, deadlines, signal);
    const { tls, agentKey } = await secure(socket, identity, deadlines, signal);
    const link = await Link.start(socket, tls, deadlines, signal);
    return { agentKey, login: (admit) => logIn(link, agentKey, admit), close: () => link.close() };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function connect(path: string, deadlines: Deadlines, signal?: AbortSignal): Promise<Socket> {
  const late = () => new ChannelError('connect-failed', `${displayText(path)} does not take the connection`);
  return step<Socket>(deadlines.resync, signal, late, (settle) => {
    const socket = connectSocket(path);
    const onConnect = () => settle.resolve(socket);
    const onError = (cause: NodeJS.ErrnoException) => {
      socket.destroy();
      settle.reject(new ChannelError('connect-failed', explainConnect(path, cause), { cause }));
    };
    socket.once('connect', onConnect).once('error', onError).on('error', ignoreHandled);
    return () => {
      socket.off('connect', onConnect).off('error', onError);
      if (socket.connecting) socket.destroy();
    };
  });
}

function explainConnect(path: string, error: NodeJS.ErrnoException): string {
  const shown = displayText(path);
  switch (error.code) {
    case 'ENOENT':
      return `there is no socket at ${shown}: start the guest or its agent, or correct the path`;
    case 'ECONNREFUSED':
      return `nothing listens on ${shown}: the guest or its agent has ended`;
    case 'EACCES':
      return `this user may not open ${shown}: run as the user that owns the host's sockets`;
    case 'EAGAIN':
      return `${shown} takes no more connections: another process holds the port`;
    default:
      return `cannot connect to ${shown}: ${error.message}`;
  }
}
