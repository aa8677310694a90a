/**
 * The kernel modules that a guest needs to reach its disk and its port, in the order in which they load.
 *
 * A module is an ELF file; its section `.modinfo` holds NUL-terminated `key=value` strings, of which
 * `depends=a,b` names the modules it needs. What was built into the kernel has no file and stands in
 * `modules.builtin`. Distributions compress modules with zstd or xz; xz takes the program of that name.
 * Sources: elf(5), modinfo(8).
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

export interface KernelModule {
  readonly name: string;
  readonly content: Buffer;
}

/** `wanted` and all they depend on, each after what it needs; without those that are built in. Throws when one is neither. */
export function collectModules(directory: string, wanted: readonly string[]): KernelModule[] {
  const files = moduleFiles(directory);
  const builtin = new Set(
    readFileSync(join(directory, 'modules.builtin'), 'utf8').split('\n').map(moduleName),
  );
  const collected = new Map<string, KernelModule>();
  const collect = (name: string): void => {
    if (builtin.has(name) || collected.has(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`the kernel in ${directory} has no module ${name}`);
    const content = readModule(file);
    for (const needed of dependencies(content)) collect(needed);
    collected.set(name, { name, content });
  };
  for (const name of wanted) collect(name);
  return [...collected.values()];
}

function moduleFiles(directory: string): Map<string, string> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const modules = paths.filter((path) => /\.ko(\.xz|\.zst)?$/.test(path));
  return new Map(modules.map((path) => [moduleName(path), join(directory, path)]));
}

/** The kernel treats `-` and `_` in module names alike. */
const moduleName = (path: string): string =>
  basename(path)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_');

function readModule(file: string): Buffer {
  if (file.endsWith('.ko')) return readFileSync(file);
  if (file.endsWith('.zst')) return zstdDecompressSync(readFileSync(file));
  return execFileSync('xz', ['--decompress', '--stdout', file], { maxBuffer: 64 * 1024 * 1024 });
}

/** The names in `depends=`; throws when the bytes are no 64-bit ELF file with a `.modinfo` section. */
export function dependencies(module: Buffer): string[] {
  const entries = section(module, '.modinfo').toString('latin1').split('\0');
  const depends = entries.find((entry) => entry.startsWith('depends='));
  return (depends?.slice('depends='.length) ?? '')
    .split(',')
    .filter((name) => name !== '')
    .map(moduleName);
}

function section(elf: Buffer, name: string): Buffer {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2) {
    throw new Error('a kernel module is not a 64-bit ELF file');
  }
  const tableOffset = Number(elf.readBigUInt64LE(0x28));
  const entrySize = elf.readUInt16LE(0x3a);
  const header = (index: number): Buffer =>
    elf.subarray(tableOffset + index * entrySize).subarray(0, entrySize);
  const body = (entry: Buffer): Buffer => {
    const offset = Number(entry.readBigUInt64LE(0x18));
    return elf.subarray(offset, offset + Number(entry.readBigUInt64LE(0x20)));
  };
  const names = body(header(elf.readUInt16LE(0x3e)));
  for (let index = 0; index < elf.readUInt16LE(0x3c); index++) {
    const from = header(index).readUInt32LE(0);
    if (names.toString('latin1', from, names.indexOf(0, from)) === name) return body(header(index));
  }
  throw new Error(`a kernel module has no section ${name}`);
}
