/** From a program's headers and its file's facts to what is odd about it. README.md says how odd. */
import { type Detection, displayBytes, type FileFacts } from 'lazaret/plugin';
import type { Elf } from './elf.ts';

interface Reason {
  readonly name: string;
  readonly description: string;
  readonly attack: readonly string[];
}

/** The identity of the detector says which reasons there are. */
export const REASONS = 6;
const SETUID = 0o4000;
const EXECUTABLE = 0o111;

/** Where no package puts programs. */
const UNPACKAGED =
  /^\/(?:[^/]+$|(?:boot|dev|etc|home|media|mnt|proc|root|srv|tmp)\/|run\/(?!wrappers\/)|var\/(?:cache|log|mail|spool|tmp|www)\/)/;
/** A system's tree within another: an unpacked image, a container's layer, a chroot. */
const IN_TREE =
  /.\/(?:usr\/(?:s?bin|lib\w{0,8})\/|s?bin\/(?:su|u?mount(?:\.\w{1,16})?|ping6?|fusermount3?|bbsuid)$)/;

/** A set-user-id program of root, at a place where nobody installs one. Such a fact is a part of the answer's key. */
export const isStraySetuid = ({ path, mode, uid }: FileFacts): boolean =>
  uid === 0 &&
  (mode & SETUID) !== 0 &&
  (mode & EXECUTABLE) !== 0 &&
  UNPACKAGED.test(path) &&
  (path.startsWith('/dev/') || !IN_TREE.test(path));

export function detectionsFor(elf: Elf, facts: FileFacts): Detection[] {
  return [...reasonsFor(elf, facts)].map((reason) => ({ judgement: 'suspicious', ...reason }));
}

function* reasonsFor(elf: Elf, facts: FileFacts): Generator<Reason> {
  if (isStraySetuid(facts)) {
    yield {
      name: 'setuid-outside-packages',
      description: 'Whoever starts it becomes root, and no package puts programs there',
      attack: ['T1548.001'],
    };
  }
  if (!elf.isIdentified) {
    yield {
      name: 'odd-identification',
      description:
        'Its header names no word size or byte order that there is; tools refuse it, kernels may run it',
      attack: ['T1027'],
    };
    return;
  }
  if (elf.isUpx)
    yield { name: 'packed-with-upx', description: 'It is packed with UPX', attack: ['T1027.002'] };
  const loaded = elf.segments.filter(({ isLoaded }) => isLoaded);
  if (loaded.some(({ isWritable, isExecutable }) => isWritable && isExecutable)) {
    yield {
      name: 'writes-own-code',
      description:
        'It asks for memory that is both written and executed, as programs that unpack themselves do',
      attack: ['T1027.002'],
    };
  }
  if (loaded.length > 0 && !elf.hasSections) {
    yield {
      name: 'no-section-headers',
      description: 'It has no section headers, which compilers write and packers leave out',
      attack: ['T1027.008'],
    };
  }
  if (elf.interpreter !== undefined && isOddInterpreter(elf.interpreter)) {
    const shown = displayBytes(Buffer.from(elf.interpreter, 'latin1')).slice(0, 200);
    const description = `It is loaded by ${shown === '' ? 'an interpreter without a name' : shown}`;
    yield { name: 'odd-interpreter', description, attack: ['T1574'] };
  }
}

const VOLATILE = /^\/(?:tmp|var\/tmp|dev)\//;
/** glibc's, musl's, uClibc's, the LSB's, the BSDs' and Android's, under any prefix. */
const LOADER = /^\/(?:.*\/)?(?:ld(?:32|64)?[-.][\w.-]{1,64}|linker(?:64)?|libc\.(?:so|musl-[\w.-]{1,64}))$/;

const isOddInterpreter = (path: string): boolean => VOLATILE.test(path) || !LOADER.test(path);
