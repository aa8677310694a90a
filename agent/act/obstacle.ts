/** What the kernel said was in the way of an action, as the host is told it. */
import type { Obstacle } from '../../protocol/index.ts';
import { messageOf, OutcomeError } from '../error.ts';
import { type Errno, errnoOf } from '../linux/error.ts';

const OBSTACLE_OF: Partial<Record<Errno, Obstacle>> = {
  EROFS: 'read-only',
  ENOSPC: 'no-space',
  EDQUOT: 'quota',
  EBUSY: 'busy',
  ETXTBSY: 'busy',
  EPERM: 'not-permitted',
  EACCES: 'not-permitted',
  EIO: 'io-error',
  ENAMETOOLONG: 'name-too-long',
};

/** What kept the directory of a file from being opened. */
const OBSTACLE_OF_PARENT: Partial<Record<Errno, Obstacle>> = {
  ENOENT: 'parent-gone',
  ELOOP: 'parent-link',
  ENOTDIR: 'parent-no-directory',
};

export function obstacleOf(error: unknown): Obstacle | undefined {
  if (error instanceof OutcomeError) return error.obstacle ?? obstacleOf(error.cause);
  const errno = errnoOf(error);
  return errno && OBSTACLE_OF[errno];
}

/** An error of opening the directory that a file stands in, or is to stand in. */
export function parentError(error: unknown): unknown {
  const errno = errnoOf(error);
  const obstacle = errno && OBSTACLE_OF_PARENT[errno];
  if (!obstacle) return error;
  const code = obstacle === 'parent-link' ? 'failed' : 'vanished';
  return new OutcomeError(code, messageOf(error), { cause: error, obstacle });
}
