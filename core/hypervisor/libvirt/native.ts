/**
 * libvirt's C interface, as far as it is used here: `libvirt.so.0` through koffi.
 *
 * Functions answer NULL or -1 on failure and leave the reason in a thread-local error, so everything here is
 * synchronous and belongs to one thread. What libvirt allocates is freed by its caller: strings with free(),
 * domains and snapshots with a function each, lists element by element and then with free().
 * Source: https://libvirt.org/html/index.html; the numbers are those of its headers, which never change.
 */
import koffi from 'koffi';
import { Failure } from './messages.ts';

/** An address: a `virConnectPtr`, `virDomainPtr` or `virDomainSnapshotPtr`. */
export type Pointer = bigint;

const library = open('libvirt.so.0', 'install libvirt (Debian: apt-get install libvirt0)');
const libc = open('libc.so.6', 'install glibc');

const free = libc.func('void free(void *memory)');
const ownedString = koffi.disposable('OwnedString', 'str', free);
const errorType = koffi.struct('virError', { code: 'int', domain: 'int', message: 'str', level: 'int' });
const handleCallback = koffi.proto(
  'void virEventHandleCallback(int watch, int fd, int events, void *opaque)',
);
const lifecycleCallback = koffi.proto(
  'int virDomainLifecycle(void *conn, void *domain, int event, int detail, void *opaque)',
);
const genericCallback = koffi.proto('void virDomainGeneric(void *conn, void *domain, void *opaque)');
const textCallback = koffi.proto('void virDomainText(void *conn, void *domain, str text, void *opaque)');
const metadataCallback = koffi.proto(
  'void virDomainMetadata(void *conn, void *domain, int type, str uri, void *opaque)',
);
const closeCallback = koffi.proto('void virConnectCloseFunc(void *conn, int reason, void *opaque)');
const errorCallback = koffi.proto('void virErrorFunc(void *data, void *error)');

export const callbackTypes = {
  handleCallback: koffi.pointer(handleCallback),
  lifecycleCallback: koffi.pointer(lifecycleCallback),
  genericCallback: koffi.pointer(genericCallback),
  textCallback: koffi.pointer(textCallback),
  metadataCallback: koffi.pointer(metadataCallback),
  closeCallback: koffi.pointer(closeCallback),
  errorCallback: koffi.pointer(errorCallback),
};

type TypeSpec = Parameters<typeof koffi.sizeof>[0];
type Argument = number | string | bigint | null | [unknown] | Buffer;
type Native<Result> = (...args: Argument[]) => Result;

const getLastError: Native<Pointer | null> = library.func('virGetLastError', 'void *', []);

export const initialize = number('virInitialize', []);
export const registerDefaultLoop = number('virEventRegisterDefaultImpl', []);
export const runLoopOnce = number('virEventRunDefaultImpl', []);
export const addHandle = number('virEventAddHandle', ['int', 'int', 'void *', 'void *', 'void *']);
export const setErrorFunction: Native<void> = library.func('virSetErrorFunc', 'void', ['void *', 'void *']);

export const openConnection = pointer('virConnectOpen', ['str']);
export const closeConnection = number('virConnectClose', ['void *']);
export const setKeepAlive = number('virConnectSetKeepAlive', ['void *', 'int', 'uint']);
export const onClose = number('virConnectRegisterCloseCallback', ['void *', 'void *', 'void *', 'void *']);
export const onDomainEvent = number('virConnectDomainEventRegisterAny', [
  'void *',
  'void *',
  'int',
  'void *',
  'void *',
  'void *',
]);

export const domainByUuid = pointer('virDomainLookupByUUIDString', ['void *', 'str']);
export const freeDomain = number('virDomainFree', ['void *']);
export const domainName: Native<string | null> = library.func('virDomainGetName', 'str', ['void *']);
export const isActive = number('virDomainIsActive', ['void *']);
export const isPersistent = number('virDomainIsPersistent', ['void *']);
export const domainXml = string('virDomainGetXMLDesc', ['void *', 'uint']);
export const attachDevice = number('virDomainAttachDeviceFlags', ['void *', 'str', 'uint']);
export const detachDevice = number('virDomainDetachDeviceFlags', ['void *', 'str', 'uint']);
export const create = number('virDomainCreate', ['void *']);
export const shutdown = number('virDomainShutdownFlags', ['void *', 'uint']);
export const destroy = number('virDomainDestroy', ['void *']);
export const suspend = number('virDomainSuspend', ['void *']);
export const resume = number('virDomainResume', ['void *']);
export const undefine = number('virDomainUndefineFlags', ['void *', 'uint']);
export const createSnapshot = pointer('virDomainSnapshotCreateXML', ['void *', 'str', 'uint']);
export const snapshotByName = pointer('virDomainSnapshotLookupByName', ['void *', 'str', 'uint']);
export const revertToSnapshot = number('virDomainRevertToSnapshot', ['void *', 'uint']);
export const isCurrentSnapshot = number('virDomainSnapshotIsCurrent', ['void *', 'uint']);
export const snapshotXml = string('virDomainSnapshotGetXMLDesc', ['void *', 'uint']);
export const freeSnapshot = number('virDomainSnapshotFree', ['void *']);

const getDomainId: Native<number> = library.func('virDomainGetID', 'uint', ['void *']);
const getUuidString = number('virDomainGetUUIDString', ['void *', 'void *']);
const getState = number('virDomainGetState', ['void *', '_Out_ int *', '_Out_ int *', 'uint']);
const listAllDomains = number('virConnectListAllDomains', ['void *', '_Out_ void **', 'uint']);
const listAllSnapshots = number('virDomainListAllSnapshots', ['void *', '_Out_ void **', 'uint']);

/** The kernel ends this process when the one that started it goes, even while a call into libvirt hangs. */
export function endWithParent(): void {
  const prctl = libc.func('int prctl(int option, ulong value)');
  if (prctl(1 /* PR_SET_PDEATHSIG */, 9 /* SIGKILL */) !== 0) {
    throw new Error('prctl(PR_SET_PDEATHSIG) failed');
  }
}

/** What libvirt counts its running domains by; undefined while it does not run. */
export function domainId(domain: Pointer): number | undefined {
  const id = getDomainId(domain);
  return id === 0xffff_ffff ? undefined : id;
}

export function domainUuid(domain: Pointer): string {
  const text = Buffer.alloc(37);
  getUuidString(domain, text);
  return text.toString('latin1', 0, 36);
}

/** A `virDomainState`, and why it is so: a number that means something else in each state. */
export function domainState(domain: Pointer): { state: number; reason: number } {
  const [state, reason] = [[0], [0]];
  getState(domain, state as [unknown], reason as [unknown], 0);
  return { state: state[0] ?? 0, reason: reason[0] ?? 0 };
}

/** To be freed one by one. */
export const domains = (connection: Pointer, flags: number): Pointer[] =>
  listed(listAllDomains, connection, flags);

/** To be freed one by one. */
export const snapshots = (domain: Pointer, flags: number): Pointer[] =>
  listed(listAllSnapshots, domain, flags);

/** Hands the addresses of a callback to libvirt for as long as this process lives. */
export function register(callback: (...args: never[]) => unknown, type: keyof typeof callbackTypes): bigint {
  return koffi.register(callback, callbackTypes[type]);
}

function listed(list: Native<number>, of: Pointer, flags: number): Pointer[] {
  const out: [Pointer | null] = [null];
  const count = list(of, out, flags);
  const [array] = out;
  if (array === null) return [];
  try {
    return count === 0 ? [] : koffi.decode(array, koffi.array('void *', count, 'Array'));
  } finally {
    free(array);
  }
}

function open(name: string, remedy: string) {
  try {
    return koffi.load(name);
  } catch (cause) {
    throw new Failure('library-missing', `${name} cannot be loaded: ${remedy}`, { cause });
  }
}

function declare(name: string, result: TypeSpec, parameters: string[]) {
  try {
    return library.func(name, result, parameters);
  } catch (cause) {
    throw new Failure('library-missing', `libvirt.so.0 is too old, it has no ${name}`, { cause });
  }
}

function number(name: string, parameters: string[]): Native<number> {
  const call = declare(name, 'int', parameters);
  return (...args) => {
    const result = call(...args);
    if (result < 0) throw lastError(name);
    return result;
  };
}

function pointer(name: string, parameters: string[]): Native<Pointer> {
  return found(name, declare(name, 'void *', parameters));
}

function string(name: string, parameters: string[]): Native<string> {
  return found(name, declare(name, ownedString, parameters));
}

function found<Result>(name: string, call: Native<Result | null>): Native<Result> {
  return (...args) => {
    const result = call(...args);
    if (result === null) throw lastError(name);
    return result;
  };
}

const CODES: Readonly<Record<number, Failure['code']>> = {
  5: 'connection-failed', // VIR_ERR_NO_CONNECT
  38: 'connection-failed', // VIR_ERR_SYSTEM_ERROR; of a socket, where it comes from the RPC layer
  39: 'connection-failed', // VIR_ERR_RPC
  42: 'no-such-domain', // VIR_ERR_NO_DOMAIN
  45: 'connection-failed', // VIR_ERR_AUTH_FAILED
  68: 'hypervisor-timeout', // VIR_ERR_OPERATION_TIMEOUT: another job holds this domain
  72: 'no-such-snapshot', // VIR_ERR_NO_DOMAIN_SNAPSHOT
};
const SYSTEM_ERROR = 38;
const FROM_RPC = 7;

function lastError(name: string): Failure {
  const address = getLastError();
  if (address === null) return new Failure('refused', `${name} failed and libvirt does not say why`);
  const { code, domain, message } = koffi.decode(address, errorType);
  const known = code === SYSTEM_ERROR && domain !== FROM_RPC ? undefined : CODES[code];
  return new Failure(known ?? 'refused', message ?? `${name} failed with libvirt's error ${code}`);
}
