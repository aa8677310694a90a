/** Guests whose channels are known sockets: those of the configuration, or one named on the command line. */
import { createHash } from 'node:crypto';
import { basename, extname, resolve } from 'node:path';
import type { Domain } from '../channel/session.ts';
import type { Settings } from '../config/index.ts';
import type { HypervisorPort, ReachableDomain } from './port.ts';

/** Guests with nothing behind them but a socket: nobody tells when they start, stop or open their port. */
export interface SocketsPort extends HypervisorPort {
  listDomains(): Promise<readonly ReachableDomain[]>;
}

/** The guests that the configuration lists; they never change. */
export function configuredSockets(vms: Settings['vms']): SocketsPort {
  const since = new Date();
  const domains = vms.map(({ name, socket, uuid }) => socketDomain(socket, { name, uuid }));
  return {
    status: { state: 'connected', since },
    listDomains: async () => domains,
    watch: () => ({ [Symbol.dispose]: () => undefined }),
    close: async () => undefined,
  };
}

/** What is known of a guest by its socket. */
export function socketDomain(
  path: string,
  { name, uuid, generation = 1 }: { name?: string; uuid?: string | undefined; generation?: number },
): ReachableDomain {
  const bare = bareSocket(path, name);
  return {
    ...bare,
    ...(uuid !== undefined && { id: uuid, uuid }),
    state: 'unknown',
    port: 'unknown',
    generation,
    persistent: true,
    metadata: [],
  };
}

/** One guest by its socket alone; it is called as its socket's file unless named. */
export function bareSocket(path: string, name?: string): Domain {
  const socket = resolve(path);
  return { id: idOfSocket(socket), name: name ?? basename(socket, extname(socket)), socket };
}

/** A UUID of version 8 (RFC 9562) made of the path's SHA-256: the same socket is the same guest, always. */
function idOfSocket(path: string): string {
  const bytes = createHash('sha256').update('lazaret socket\0').update(path).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
