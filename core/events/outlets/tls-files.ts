/** Certificates for connections to receivers. The files are read for every new connection: renewed ones are used. */
import { readFile } from 'node:fs/promises';
import type { SecureContextOptions } from 'node:tls';
import { DeliveryError } from '../../error.ts';

export interface TlsFiles {
  /** PEM: authorities that the receiver's certificate must come from, instead of those of the system. */
  readonly ca?: string;
  /** PEM: our certificate, for receivers that ask for one; with its key. */
  readonly cert?: string;
  readonly key?: string;
}

/** Rejects with DeliveryError `bad-options`. */
export async function readTlsFiles({ ca, cert, key }: TlsFiles): Promise<SecureContextOptions> {
  return {
    minVersion: 'TLSv1.2',
    ...(ca !== undefined && { ca: await read(ca) }),
    ...(cert !== undefined && { cert: await read(cert) }),
    ...(key !== undefined && { key: await read(key) }),
  };
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new DeliveryError('bad-options', `${path} cannot be read: ${said}`, { cause });
  }
}
