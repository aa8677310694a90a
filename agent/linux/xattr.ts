/** Extended attributes (xattr(7)): ACLs, capabilities and security labels are among them, as raw values. */
import { type Errno, SystemError } from './error.ts';
import { libc } from './ffi.ts';
import { cString, nativeBuffer } from './memory.ts';

const native = {
  flistxattr: libc.bind('flistxattr', ['i32', 'buffer', 'u64']),
  fgetxattr: libc.bind('fgetxattr', ['i32', 'buffer', 'buffer', 'u64']),
  fsetxattr: libc.bind('fsetxattr', ['i32', 'buffer', 'buffer', 'u64', 'i32']),
  fremovexattr: libc.bind('fremovexattr', ['i32', 'buffer']),
};

/** More names than the kernel lists: a file system can hold them, and any owner can set them. */
const TOO_MANY: ReadonlySet<Errno> = new Set<Errno>(['E2BIG', 'ERANGE']);
/** Those that say who may do what, looked for by name where they cannot be listed. */
const KNOWN_NAMES = ['security.capability', 'security.selinux', 'system.posix_acl_access'];

/** No such attribute, or a file system that has none. */
const ABSENT: ReadonlySet<Errno> = new Set<Errno>(['ENODATA', 'EOPNOTSUPP', 'ENOTSUP']);

/** The kernel's own bounds for the list of names and for one value (XATTR_LIST_MAX, XATTR_SIZE_MAX). */
const MOST_BYTES = 65_536;
const scratch = nativeBuffer(MOST_BYTES);

export interface ExtendedAttribute {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** All attributes; none where the file system has no such thing. Throws SystemError when one cannot be read. */
export function readAttributes(descriptor: number): ExtendedAttribute[] {
  return listNames(descriptor).flatMap((name) => {
    const value = readValue(descriptor, name);
    return value ? [{ name, value }] : [];
  });
}

/** All attributes that can be read, and how many cannot, or whether they are too many to be counted. */
export function readableAttributes(descriptor: number): {
  readonly attributes: ExtendedAttribute[];
  readonly unread: number;
  readonly isUncounted: boolean;
} {
  const attributes: ExtendedAttribute[] = [];
  let unread = 0;
  const { names, isUncounted } = namesToTry(descriptor);
  for (const name of names) {
    try {
      const value = readValue(descriptor, name);
      if (value) attributes.push({ name, value });
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      unread += 1;
    }
  }
  return { attributes, unread, isUncounted };
}

function namesToTry(descriptor: number): { names: readonly Buffer[]; isUncounted: boolean } {
  try {
    return { names: listNames(descriptor), isUncounted: false };
  } catch (error) {
    if (!(error instanceof SystemError) || !TOO_MANY.has(error.code)) throw error;
    return { names: KNOWN_NAMES.map((name) => Buffer.from(name)), isUncounted: true };
  }
}

function listNames(descriptor: number): Buffer[] {
  const length = native.flistxattr(descriptor, scratch, BigInt(MOST_BYTES));
  if (length >= 0) return [...splitNames(scratch.subarray(0, length))];
  const error = new SystemError('flistxattr', libc.errno());
  if (ABSENT.has(error.code)) return [];
  throw error;
}

export function setAttribute(descriptor: number, { name, value }: ExtendedAttribute): void {
  if (value.length > MOST_BYTES) throw new RangeError(`an attribute has at most ${MOST_BYTES} bytes`);
  scratch.set(value);
  if (native.fsetxattr(descriptor, cString(name), scratch, BigInt(value.length), 0) < 0) {
    throw new SystemError(`fsetxattr ${name.toString('latin1')}`, libc.errno());
  }
}

function* splitNames(list: Buffer): Generator<Buffer> {
  for (let from = 0; from < list.length; ) {
    const end = list.indexOf(0, from);
    yield Buffer.from(list.subarray(from, end));
    from = end + 1;
  }
}

/** Undefined when the attribute was removed since it was listed. */
function readValue(descriptor: number, name: Buffer): Buffer | undefined {
  const length = native.fgetxattr(descriptor, cString(name), scratch, BigInt(MOST_BYTES));
  if (length >= 0) return Buffer.from(scratch.subarray(0, length));
  const error = new SystemError(`fgetxattr ${name.toString('latin1')}`, libc.errno());
  if (ABSENT.has(error.code)) return undefined;
  throw error;
}

/** Does nothing where there is no such attribute. */
export function removeAttribute(descriptor: number, name: string): void {
  if (native.fremovexattr(descriptor, cString(Buffer.from(name))) === 0) return;
  const error = new SystemError(`fremovexattr ${name}`, libc.errno());
  if (!ABSENT.has(error.code)) throw error;
}
