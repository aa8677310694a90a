/**
 * Where the host can have put an enrolment token for this guest (`protocol/enrolment.ts`), in this order:
 *
 *   1  the file of --enrolment-token-file; the systemd credential (systemd.exec(5), `$CREDENTIALS_DIRECTORY`)
 *   2  SMBIOS OEM strings, `io.systemd.credential:lazaret.enrolment=TOKEN` (systemd.system-credentials(7))
 *   3  QEMU's fw_cfg (docs/specs/fw_cfg.rst there), `opt/org.lazaret/enrolment`, by the kernel's qemu_fw_cfg
 *   4  `enrolment-token` in the state directory
 *
 * They are looked for at each login, so that one that is put there later is found. What is no token is told in the log,
 * once, and otherwise as if it were not there.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import {
  isEnrolmentToken,
  LIMITS,
  OEM_CREDENTIAL,
  OEM_CREDENTIAL_BINARY,
  TOKEN_CREDENTIAL,
  TOKEN_FW_CFG,
} from '../../protocol/index.ts';
import { messageOf } from '../error.ts';
import { errnoOf } from '../linux/error.ts';
import { oemStrings, readStructure, readTable, type SmbiosStructure } from './smbios.ts';

const TOKEN_FILE = 'enrolment-token';
const MOST_TOKEN_BYTES = 4096;
const MOST_STRUCTURE_BYTES = 64 * 1024;
const MOST_TABLE_BYTES = 1024 * 1024;
const MOST_STRUCTURES = 64;
/** There is nothing, or this user may not look: both are as usual where no one said that there is something. */
const USUAL: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM']);
const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants;

export interface TokenPlaces {
  /** The operator's own word where it is. */
  readonly file?: string | undefined;
  /** What systemd calls `$CREDENTIALS_DIRECTORY`. */
  readonly credentials?: string | undefined;
  /** `/sys/firmware`. */
  readonly firmware: string;
  /** The state directory. */
  readonly state: string;
}

export class EnrolmentTokens {
  private readonly places: TokenPlaces;
  private readonly log: (line: string) => void;
  private readonly said = new Set<string>();

  constructor(places: TokenPlaces, log: (line: string) => void) {
    this.places = places;
    this.log = log;
  }

  /** Those that there are, each once, in the order of their places; as many as a login may bring. */
  find(): string[] {
    const { file, credentials, state } = this.places;
    const found = [
      file === undefined ? undefined : this.inFile(file, true),
      credentials === undefined ? undefined : this.inFile(join(credentials, TOKEN_CREDENTIAL)),
      ...this.inOemStrings(),
      this.inFile(join(this.places.firmware, 'qemu_fw_cfg/by_name', TOKEN_FW_CFG, 'raw')),
      this.inFile(join(state, TOKEN_FILE)),
    ];
    const tokens = new Set(found.filter((token) => token !== undefined));
    return [...tokens].slice(0, LIMITS.enrolmentProofs);
  }

  private inFile(path: string, isNamed = false): string | undefined {
    const bytes = this.read(path, MOST_TOKEN_BYTES, isNamed);
    return bytes && this.checked(bytes.toString('latin1'), path);
  }

  private *inOemStrings(): Generator<string | undefined> {
    for (const structure of this.structures()) {
      for (const text of oemStrings(structure)) {
        const value = credentialIn(text.toString('latin1'));
        if (value !== undefined) yield this.checked(value, 'the SMBIOS OEM strings');
      }
    }
  }

  /** Structures of type 11: one a file, or out of the whole table where the kernel has no such files. */
  private structures(): readonly SmbiosStructure[] {
    const directory = join(this.places.firmware, 'dmi/entries');
    const names = this.list(directory)?.filter((name) => /^11-\d+$/.test(name));
    if (names === undefined) {
      const table = this.read(join(this.places.firmware, 'dmi/tables/DMI'), MOST_TABLE_BYTES);
      return table ? [...readTable(table)] : [];
    }
    return names.slice(0, MOST_STRUCTURES).flatMap((name) => {
      const path = join(directory, name, 'raw');
      const bytes = this.read(path, MOST_STRUCTURE_BYTES);
      const structure = bytes && readStructure(bytes);
      if (bytes && !structure) this.say(`${path} is no SMBIOS structure, and was ignored`);
      return structure ?? [];
    });
  }

  private list(directory: string): string[] | undefined {
    try {
      return readdirSync(directory).sort((one, other) => one.localeCompare(other, 'en', { numeric: true }));
    } catch (error) {
      if (!USUAL.has(errnoOf(error))) this.say(`${directory} cannot be listed: ${messageOf(error)}`);
      return undefined;
    }
  }

  private read(path: string, most: number, isNamed = false): Buffer | undefined {
    try {
      return readBounded(path, most);
    } catch (error) {
      if (isNamed || !USUAL.has(errnoOf(error)))
        this.say(`no enrolment token is read from ${path}: ${messageOf(error)}`);
      return undefined;
    }
  }

  private checked(text: string, place: string): string | undefined {
    const token = text.trim();
    if (isEnrolmentToken(token)) return token;
    // What it is instead is nobody's business: it may be another secret.
    this.say(`what is in ${place} is no enrolment token, and was ignored`);
    return undefined;
  }

  private say(line: string): void {
    if (this.said.has(line)) return;
    this.said.add(line);
    this.log(line);
  }
}

/** The value of the credential that an OEM string has; undefined when it has another one, or none. */
function credentialIn(text: string): string | undefined {
  const plain = `${OEM_CREDENTIAL}${TOKEN_CREDENTIAL}=`;
  if (text.startsWith(plain)) return text.slice(plain.length);
  const binary = `${OEM_CREDENTIAL_BINARY}${TOKEN_CREDENTIAL}=`;
  if (!text.startsWith(binary)) return undefined;
  return Buffer.from(text.slice(binary.length), 'base64').toString('latin1');
}

/** A regular file of at most so many bytes. Those of sysfs do not say how many they have. */
function readBounded(path: string, most: number): Buffer {
  const file = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  try {
    if (!fstatSync(file).isFile()) throw new Error('it is no regular file');
    const buffer = Buffer.alloc(most + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(file, buffer, length, buffer.length - length, null);
    }
    if (length > most) throw new Error(`it has more than ${most} bytes`);
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}
