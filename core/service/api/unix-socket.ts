/**
 * A unix socket that is never open to more than it should be: it is made in a private directory, given its mode and
 * group there, and only then put in its place. One that a daemon left behind is replaced; one that is in use is not.
 */
import { rmSync, statSync } from 'node:fs';
import { chmod, chown, lstat, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { ApiError } from '../error.ts';

export interface SocketPlace {
  readonly path: string;
  /** Such as 0o660. */
  readonly mode: number;
  /** Name or number. Default: as the daemon's. */
  readonly group?: string | number;
}

/** `sun_path` of Linux has 108 bytes, one of them NUL. */
const LONGEST = 107;
const OTHERS_WRITE = 0o002;

/** Listens there. What is returned takes the socket away again, unless another one is in its place by then. Rejects with ApiError `cannot-listen`. */
export async function listenOnSocket(app: FastifyInstance, place: SocketPlace): Promise<Disposable> {
  try {
    await checkPlace(place.path);
    return await listen(app, place);
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
    throw cannotListen(place.path, (cause as Error).message, cause);
  }
}

async function listen(app: FastifyInstance, { path, mode, group }: SocketPlace): Promise<Disposable> {
  const gid = group === undefined ? undefined : await groupId(group);
  const nursery = await mkdtemp(join(dirname(path), '.api-'));
  try {
    const made = join(nursery, 's');
    if (Buffer.byteLength(made) > LONGEST)
      throw cannotListen(path, `a socket's path may have ${LONGEST - 12} bytes`);
    await app.listen({ path: made });
    await chmod(made, mode);
    if (gid !== undefined) await chown(made, -1, gid);
    const { ino } = await stat(made);
    await rename(made, path);
    return { [Symbol.dispose]: () => takeAway(path, ino) };
  } finally {
    await rm(nursery, { recursive: true, force: true });
  }
}

function takeAway(path: string, ino: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true });
}

async function checkPlace(path: string): Promise<void> {
  const directory = await stat(dirname(path));
  if ((directory.mode & OTHERS_WRITE) !== 0)
    throw cannotListen(path, 'everyone may write to its directory, and so put another socket there');
  const there = await lstat(path).catch(absent);
  if (!there) return;
  if (!there.isSocket()) throw cannotListen(path, 'something that is no socket is there: remove it');
  if (await answers(path)) throw cannotListen(path, 'another daemon answers there');
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });

/** As /etc/group has it: Node does not look groups up by their names. */
async function groupId(group: string | number): Promise<number> {
  if (typeof group === 'number') return group;
  for (const line of (await readFile('/etc/group', 'utf8')).split('\n')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined) return Number(gid);
  }
  throw new ApiError('bad-options', `there is no group ${group} in /etc/group: make it, or name another`);
}

const cannotListen = (path: string, why: string, cause?: unknown): ApiError =>
  new ApiError(
    'cannot-listen',
    `the API cannot listen on ${path}: ${why}`,
    cause === undefined ? {} : { cause },
  );
