import { constants } from 'node:os';
import { CodedError } from '../../protocol/index.ts';

/** The name of an error number, such as ENOENT. */
export type Errno = keyof typeof constants.errno | 'EUNKNOWN';

const NAMES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name as Errno]));

/** A system call failed; `code` is the name of its error number. */
export class SystemError extends CodedError<Errno> {
  constructor(call: string, errno: number) {
    const name = NAMES.get(errno) ?? 'EUNKNOWN';
    super(name, `${call}: ${name} (${errno})`);
  }
}

/** The error number's name of a failed call, made here or by the runtime; undefined for any other error. */
export function errnoOf(error: unknown): Errno | undefined {
  if (error instanceof SystemError) return error.code;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && code in constants.errno ? (code as Errno) : undefined;
}
