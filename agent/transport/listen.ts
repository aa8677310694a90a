/** A unix socket that only its owner can connect to: the channel of a guest in a container, and of tests. */
import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { messageOf, StartError } from '../error.ts';
import { errnoOf } from '../linux/error.ts';

const OWNER_ONLY = 0o177;

/** Throws StartError (`no-socket`). */
export async function listenOn(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  try {
    await removeStale(path);
    return await listen(path, onConnection);
  } catch (cause) {
    throw new StartError('no-socket', `cannot listen on ${path}: ${messageOf(cause)}`, { cause });
  }
}

function listen(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  const server = createServer(onConnection).once('error', reject);
  // The mode is right from the first moment, not set afterwards.
  const mask = process.umask(OWNER_ONLY);
  server.listen(path, () => resolve(server));
  return promise.finally(() => process.umask(mask));
}

/** A socket that nobody listens on was left behind by an agent that was killed. */
async function removeStale(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) throw new Error('it exists and is not a socket');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  if (await isAnswered(path)) throw new Error('another agent listens there');
  rmSync(path, { force: true });
}

function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const probe = connect(path, () => resolve(true));
  probe.once('error', (error) => (errnoOf(error) === 'ECONNREFUSED' ? resolve(false) : reject(error)));
  return promise.finally(() => probe.destroy());
}
