import { describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { collectModules, dependencies } from './modules.ts';
import { findGuestParts } from './parts.ts';

/** A module file with the sections that count: one of names, and .modinfo. */
function moduleWith(modinfo: string): Buffer {
  const names = Buffer.from('\0.modinfo\0.shstrtab\0');
  const info = Buffer.from(modinfo);
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02', 'latin1');
  header.writeBigUInt64LE(BigInt(64 + names.length + info.length), 0x28);
  header.writeUInt16LE(64, 0x3a);
  header.writeUInt16LE(2, 0x3c);
  header.writeUInt16LE(1, 0x3e);
  const entry = (name: number, offset: number, size: number): Buffer => {
    const bytes = Buffer.alloc(64);
    bytes.writeUInt32LE(name, 0);
    bytes.writeBigUInt64LE(BigInt(offset), 0x18);
    bytes.writeBigUInt64LE(BigInt(size), 0x20);
    return bytes;
  };
  const sections = [entry(1, 64 + names.length, info.length), entry(10, 64, names.length)];
  return Buffer.concat([header, names, info, ...sections]);
}

describe('dependencies', () => {
  it('names what a module needs, with underscores', () => {
    const module = moduleWith('license=GPL\0depends=virtio_ring,crc32c-intel\0name=x\0');
    expect(dependencies(module)).toEqual(['virtio_ring', 'crc32c_intel']);
  });

  it('is empty for a module that needs none', () => {
    expect(dependencies(moduleWith('depends=\0'))).toEqual([]);
  });

  it('refuses what is no module', () => {
    expect(() => dependencies(Buffer.from('#!/bin/sh'))).toThrow('not a 64-bit ELF file');
    expect(() => dependencies(Buffer.alloc(4096))).toThrow('not a 64-bit ELF file');
  });
});

const { parts, missing } = findGuestParts();
const there = need({
  what: 'a kernel for guests',
  there: parts !== undefined,
  get: (missing ?? []).map((part) => part.get).join('; '),
});

describe.runIf(there)('collectModules', () => {
  const modules = parts?.modules ?? '';

  it('puts each module after what it needs', () => {
    const names = collectModules(modules, ['virtio_blk', 'virtio_pci']).map((module) => module.name);
    for (const one of collectModules(modules, names)) {
      for (const needed of dependencies(one.content)) {
        expect(names.indexOf(needed)).toBeLessThan(names.indexOf(one.name));
      }
    }
    expect(new Set(names).size).toBe(names.length);
  });

  it('names a module that is not there', () => {
    expect(() => collectModules(modules, ['no_such_module'])).toThrow('has no module no_such_module');
  });
});
