/** Secrets as the configuration names them: a file, or a credential that systemd put into a directory of its own. */
import { join } from 'node:path';
import { ConfigError } from '../error.ts';
import type { SecretFile } from '../secret.ts';

export interface SecretPlace {
  readonly file?: string | undefined;
  readonly credential?: string | undefined;
}

/** Throws ConfigError `unreadable` where systemd gave no credentials. */
export function secretFile({ file, credential }: SecretPlace, environment = process.env): SecretFile {
  if (file !== undefined) return { file };
  const directory = environment.CREDENTIALS_DIRECTORY;
  if (directory !== undefined && credential !== undefined) return { file: join(directory, credential) };
  throw new ConfigError(
    'unreadable',
    `there is no credential ${credential}: start lazaret by its systemd unit, with LoadCredential=${credential}:/PATH, or name a file`,
  );
}
