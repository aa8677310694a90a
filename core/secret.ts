/**
 * Passwords, tokens and keys. They are named in the configuration by the file that holds them, read when they are
 * used, and can be neither printed nor logged by mistake.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { inspect } from 'node:util';
import { SecretError } from './error.ts';
import { whyForeign, whyForeignPlace } from './trust.ts';

/** Where a secret lies. A line feed at its end does not count. */
export interface SecretFile {
  readonly file: string;
}

export const REDACTED = '[redacted]';
const MOST_BYTES = 65_536;

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** Rejects with SecretError `unreadable`, `empty` or `too-large`. */
  static async read({ file }: SecretFile): Promise<Secret> {
    const value = (await readBounded(file)).replace(/\r?\n$/, '');
    if (value === '') throw new SecretError('empty', `the secret in ${file} is empty: write it there`);
    return new Secret(value);
  }

  /** The secret itself: to be handed to where it is used, and nowhere else. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

async function readBounded(path: string): Promise<string> {
  try {
    // A FIFO without a writer must not hold us up.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const facts = await file.stat();
      if (!facts.isFile())
        throw new SecretError(
          'unreadable',
          `the secret in ${path} is not used: it is no regular file: ${NAME_ONE}`,
        );
      const why = whyForeign(path, facts) ?? (await whyForeignPlace(path));
      if (why !== undefined) throw new SecretError('unreadable', `the secret in ${path} is not used: ${why}`);
      const { size } = facts;
      if (size > MOST_BYTES) {
        throw new SecretError(
          'too-large',
          `${path} is too large for a secret (${size} bytes): name another file`,
        );
      }
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof SecretError) throw cause;
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new SecretError('unreadable', `the secret in ${path} cannot be read: ${said}`, { cause });
  }
}

const NAME_ONE = 'write the secret into one that its user alone can read';
