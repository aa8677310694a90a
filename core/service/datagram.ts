/**
 * Sends datagrams to a unix socket, which Node cannot: socket(2), sendto(2), unix(7) of the C library.
 * The addresses are those of systemd: an absolute path, or `@` and a name in the abstract namespace.
 */
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const MSG_NOSIGNAL = 0x4000;
/** A reader whose queue is full is waited for no longer than this. */
const SEND_SECONDS = 2n;
/** sun_path holds 108 bytes, of which one ends the path. */
const LONGEST_PATH = 107;

/** What this process has loaded already: any C library. */
const libc = koffi.load(null);
const socket = libc.func('int socket(int domain, int type, int protocol)');
const setsockopt = libc.func(
  'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
);
const sendto = libc.func(
  'intptr_t sendto(int fd, const void *bytes, size_t length, int flags, const void *to, uint32_t toLength)',
);
const close = libc.func('int close(int fd)');

/** Undefined when it is none: neither an absolute path nor `@` and a name, or longer than an address can be. */
export function unixAddress(name: string): Buffer | undefined {
  const path = Buffer.from(name, 'utf8');
  if (!/^[/@]./.test(name) || name.includes('\0') || path.length > LONGEST_PATH) return undefined;
  const isAbstract = name.startsWith('@');
  if (isAbstract) path[0] = 0;
  const family = Buffer.from(Uint16Array.of(AF_UNIX).buffer);
  return Buffer.concat(isAbstract ? [family, path] : [family, path, Buffer.alloc(1)]);
}

/** A socket of its own for each datagram: they are few, and there is nothing left to close. Throws Error with the system's message. */
export function sendDatagram(address: Buffer, bytes: Buffer): void {
  const descriptor: number = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw systemError('socket');
  try {
    const timeval = Buffer.from(BigInt64Array.of(SEND_SECONDS, 0n).buffer);
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, timeval, timeval.length) < 0) {
      throw systemError('setsockopt');
    }
    send(descriptor, address, bytes);
  } finally {
    close(descriptor);
  }
}

/** A call that waits can be interrupted, also in a program that handles no signal itself. */
function send(descriptor: number, address: Buffer, bytes: Buffer): void {
  const deadline = performance.now() + 1000 * Number(SEND_SECONDS);
  while (sendto(descriptor, bytes, bytes.length, MSG_NOSIGNAL, address, address.length) < 0) {
    if (koffi.errno() !== koffi.os.errno.EINTR || performance.now() > deadline) throw systemError('sendto');
  }
}

function systemError(call: string): Error {
  const errno = -koffi.errno();
  return Object.assign(new Error(`${call}: ${getSystemErrorMessage(errno)}`), {
    code: getSystemErrorName(errno),
  });
}
