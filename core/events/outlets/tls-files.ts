/** Certificates for connections to receivers. The files are read for every new connection: renewed ones are used. */
import { readFile, stat } from 'node:fs/promises';
import type { SecureContextOptions } from 'node:tls';
import { DeliveryError } from '../../error.ts';
import { whyForeign, whyForeignPlace } from '../../trust.ts';

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
    const why = whyForeign(path, await stat(path)) ?? (await whyForeignPlace(path));
    if (why !== undefined) throw new DeliveryError('bad-options', `${path} is not used: ${why}`);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof DeliveryError) throw cause;
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new DeliveryError('bad-options', `${path} cannot be read: ${said}`, { cause });
  }
}
