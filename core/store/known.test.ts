/** What is kept of contents and listings: bounded, and never more than was learnt. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateDatabase } from './database.ts';
import { type KnownContent, KnownContentStore } from './known-contents.ts';
import { type KnownLine, KnownLineStore } from './known-lines.ts';

const DAY = 86_400_000;
let directory: string;
let database: StateDatabase;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-known-'));
  database = StateDatabase.open(join(directory, 'state'));
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

const hex = (number: number, length: number): string => number.toString(16).padStart(length, '0');
const content = (number: number, ...answers: number[]): KnownContent => ({
  size: number,
  head: Buffer.from([number & 0xff]),
  digests: { sha256: hex(number, 64), md5: hex(number, 32) },
  answers: new Set(answers.map((answer) => hex(answer, 32))),
});
const found = (store: KnownContentStore, ...numbers: number[]): number[] => {
  const kept = store.find(numbers.map((number) => hex(number, 64)));
  return numbers.filter((number) => kept.has(hex(number, 64)));
};

describe('contents', () => {
  it('come back as they were, with all answers that were clean', () => {
    const store = new KnownContentStore(database, 100);
    expect(store.isEmpty).toBe(true);
    store.save([content(1, 10), content(2, 20)]);
    store.save([{ ...content(1, 11), digests: { sha256: hex(1, 64), sha1: hex(5, 40) } }]);
    expect(store.isEmpty).toBe(false);
    expect(store.find([hex(1, 64), hex(3, 64)]).get(hex(1, 64))).toEqual({
      ...content(1, 10, 11),
      digests: { sha256: hex(1, 64), sha1: hex(5, 40), md5: hex(1, 32) },
    });
    expect(found(store, 1, 2, 3)).toEqual([1, 2]);
  });

  it('are bounded: those that were not used for longest go', () => {
    let now = 0;
    const store = new KnownContentStore(database, 10, () => now);
    store.save(Array.from({ length: 10 }, (_, number) => content(number, 1)));
    now = DAY;
    expect(found(store, 0)).toEqual([0]);
    store.save([content(10, 1)]);
    expect(found(store, 0, 1, 10)).toEqual([0, 10]);
    const all = Array.from({ length: 11 }, (_, number) => number);
    expect(found(store, ...all).length).toBeLessThanOrEqual(10);
  });

  it('keep the newest answers of a content that has very many', () => {
    const store = new KnownContentStore(database, 10);
    for (let answer = 0; answer < 50; answer++) store.save([content(1, answer)]);
    const { answers } = store.find([hex(1, 64)]).get(hex(1, 64)) as KnownContent;
    expect(answers.size).toBe(32);
    expect(answers).toContain(hex(49, 32));
    expect(answers).not.toContain(hex(0, 32));
  });

  it('that are asked for by what is no hash are not there', () => {
    expect(new KnownContentStore(database, 10).find(['', 'not hex', hex(1, 10)]).size).toBe(0);
  });
});

const NEW = Buffer.alloc(16, 1);
const OLD = Buffer.alloc(16, 2);
const line = (directory: number, changes: Partial<KnownLine> = {}): KnownLine => ({
  directory: Buffer.alloc(16, directory),
  digest: randomBytes(16),
  generation: NEW,
  files: 2,
  bytes: 20,
  claimed: false,
  shareable: true,
  entries: Buffer.alloc(96, directory),
  ...changes,
});

describe('lines of listings', () => {
  const digestsOf = (store: KnownLineStore, guest: number, withClaimed = true): string[] =>
    [...store.ofGeneration(guest, NEW, withClaimed)].map(({ digest }) => digest);

  it('count for the generation that found them clean, and with the trust that they were learnt with', () => {
    const store = new KnownLineStore(database, 100);
    const guest = store.begin('vm', 0);
    const lines = [line(1), line(2, { claimed: true }), line(3, { generation: OLD })];
    store.save([...lines, line(4, { generation: undefined })].map((one) => ({ guest, line: one })));
    const hexOf = (one?: KnownLine) => one?.digest.toString('hex');
    expect(digestsOf(store, guest)).toEqual([hexOf(lines[0]), hexOf(lines[1])]);
    expect(digestsOf(store, guest, false)).toEqual([hexOf(lines[0])]);
    expect(store.ofDirectory(guest, Buffer.alloc(16, 3), true, 10)).toEqual([
      { claimed: false, entries: Buffer.alloc(96, 3) },
    ]);
    expect(store.ofDirectory(guest, Buffer.alloc(16, 2), false, 10)).toEqual([]);
    expect(digestsOf(store, store.begin('another', 0))).toEqual([]);
  });

  it('are offered to other guests when they may be clones, and adopted as what those claim', () => {
    const store = new KnownLineStore(database, 100);
    const image = store.begin('image', 0);
    const [shared, ...unfit] = [
      line(1),
      line(2, { claimed: true }),
      line(3, { shareable: false }),
      line(4, { generation: OLD }),
    ];
    store.save([shared, ...unfit].map((one) => ({ guest: image, line: one })));
    store.sweep(image, 0, true, () => true);
    const clone = store.begin('clone', 1);
    const offered = [...store.ofOthers(clone, NEW, 10)];
    expect(offered.map(({ digest }) => digest)).toEqual([shared.digest.toString('hex')]);
    expect([...store.ofOthers(image, NEW, 10)]).toEqual([]);
    expect(store.entriesOf(offered[0]?.id ?? 0)).toEqual(shared.entries);
    expect(store.entriesOf(4711)).toEqual(Buffer.alloc(0));
    store.adopt(
      clone,
      offered.map(({ id }) => id),
    );
    expect(digestsOf(store, clone)).toHaveLength(1);
    expect(digestsOf(store, clone, false)).toEqual([]);
    expect([...store.ofOthers(store.begin('third', 2), NEW, 10)]).toHaveLength(1);
  });

  it('are there once, however often they are learnt', () => {
    const store = new KnownLineStore(database, 100);
    const guest = store.begin('vm', 0);
    const one = line(1);
    store.save([{ guest, line: one }]);
    store.save([{ guest, line: { ...one, files: 3 } }]);
    expect([...store.ofGeneration(guest, NEW, true)]).toMatchObject([{ files: 3 }]);
  });

  it('go when a listing of the whole guest did not confirm them; of a part, where there are newer ones', () => {
    const store = new KnownLineStore(database, 100);
    const guest = store.begin('vm', 0);
    const [confirmed, gone, elsewhere] = [line(1), line(1), line(2)];
    store.save([confirmed, gone, elsewhere].map((one) => ({ guest, line: one })));
    const last = store.lastId(guest);
    const [first] = store.ofGeneration(guest, NEW, true);
    store.save([{ guest, line: line(1) }]);
    store.sweep(guest, last, false, (id) => id === first?.id);
    expect(digestsOf(store, guest)).toHaveLength(3);
    store.sweep(guest, last, true, (id) => id === first?.id);
    expect(digestsOf(store, guest)).toHaveLength(2);
  });

  it('of guests that were not scanned for longest go when there are too many files', () => {
    const store = new KnownLineStore(database, 5);
    for (const [number, vm] of ['first', 'second', 'third'].entries()) {
      const guest = store.begin(vm, number);
      store.save([{ guest, line: line(1) }]);
      store.sweep(guest, 0, true, () => true);
    }
    store.begin('fourth', 3);
    const left = ['first', 'second', 'third'].filter((vm) => digestsOf(store, store.begin(vm, 4)).length > 0);
    expect(left).toEqual(['second', 'third']);
  });

  it('are all forgotten of a guest that is not believed', () => {
    const store = new KnownLineStore(database, 100);
    const guest = store.begin('vm', 0);
    store.save([{ guest, line: line(1) }]);
    store.forget(guest);
    expect(store.lastId(guest)).toBe(0);
    expect(digestsOf(store, guest)).toEqual([]);
  });
});
