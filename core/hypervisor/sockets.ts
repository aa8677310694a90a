/** Guests whose channels are known sockets: those of the configuration, or one named on the command line. */
import { createHash } from 'node:crypto';
import { basename, extname, resolve } from 'node:path';
import type { Domain } from '../channel/session.ts';
import type { Settings } from '../config/index.ts';
import type { HypervisorPort } from './port.ts';

/** The guests that the configuration lists. */
export function configuredSockets(vms: Settings['vms']): HypervisorPort {
  const domains = vms.map(({ name, socket, uuid }): Domain => {
    const path = resolve(socket);
    return { id: uuid ?? idOfSocket(path), name, socket: path, ...(uuid !== undefined && { uuid }) };
  });
  return { listDomains: async () => domains };
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
