/**
 * Notes: what hashes share, their list and their name, a region of the index's file. A note is two bytes for the
 * list, two for the name's length, and the name in UTF-8. Signatures are often numbered (`Win.Trojan.Agent-6369668-0`):
 * the number stands in the hash's record and a NUL in its place, so that they share a note.
 */
import { NO_NUMBER, type Reference } from './record.ts';

const NAME_LENGTH = 200;
/** The longest name in UTF-8. */
export const LONGEST_NOTE = 4 + NAME_LENGTH * 3;
export const MOST_LISTS = 2 ** 16;
/** Notes that are remembered while the index is built; forgotten ones are written again. */
const REMEMBERED = 65_536;
const NUMBERED = /^((?:.*\D)?)([1-9]\d{3,8})/s;

/** Writes each note once, as far as a bounded memory can tell. */
export class NoteWriter {
  private readonly known = new Map<string, number>();
  private readonly append: (bytes: Buffer) => number;

  /** `append` gives the place where the bytes went. */
  constructor(append: (bytes: Buffer) => number) {
    this.append = append;
  }

  add(list: number, name = ''): Reference {
    const { text, number } = withoutNumber(name.slice(0, NAME_LENGTH));
    const key = `${list} ${text}`;
    let note = this.known.get(key);
    if (note === undefined) {
      note = this.append(noteOf(list, text));
      if (this.known.size >= REMEMBERED) this.known.clear();
      this.known.set(key, note);
    }
    return { note, number };
  }
}

export interface Note {
  readonly list: number;
  /** Empty when there is none. */
  readonly name: string;
}

/** Throws when that is no note. */
export function readNote(bytes: Buffer, number: number): Note {
  const end = 4 + bytes.readUInt16BE(2);
  if (end > bytes.length) throw new Error('a name ends outside of it');
  const text = bytes.toString('utf8', 4, end);
  return { list: bytes.readUInt16BE(0), name: number === NO_NUMBER ? text : text.replace('\0', `${number}`) };
}

/** The last number of at least four digits. */
function withoutNumber(name: string): { text: string; number: number } {
  const match = name.includes('\0') ? null : NUMBERED.exec(name);
  if (match === null) return { text: name, number: NO_NUMBER };
  const [whole, before = '', digits = ''] = match;
  return { text: `${before}\0${name.slice(whole.length)}`, number: Number(digits) };
}

function noteOf(list: number, text: string): Buffer {
  const name = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(list, 0);
  head.writeUInt16BE(name.length, 2);
  return Buffer.concat([head, name]);
}
