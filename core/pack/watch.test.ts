/** Archives that appear, change and are no packs; what installs them is a recorder. */
import {
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PackError } from './error.ts';
import type { PackChange } from './packs.ts';
import { PackWatch } from './watch.ts';

const { signal } = new AbortController();
const OLD = new Date('2026-01-01');
const active = {
  serial: 2,
  version: '1.2',
  digest: 'd'.repeat(64),
  expires: OLD.toISOString(),
  signatures: 1,
};
const installed: PackChange = { vendor: 'acme', id: 'rules', active };

let directory: string;
let watched: string;
let calls: string[];
let logged: string[];
let answer: () => Promise<PackChange | undefined>;
let whenCalled: PromiseWithResolvers<void>;
let watch: PackWatch;

const log = (level: string) => (message: string) => logged.push(`${level} ${message}`);

const watchOf = (place: string | undefined): PackWatch =>
  new PackWatch({
    directory: place,
    packs: {
      update: async (path) => {
        calls.push(path);
        whenCalled.resolve();
        return answer();
      },
      reload: async () => {
        calls.push('reload');
      },
    },
    logger: { debug: log('debug'), info: log('info'), warn: log('warn') },
    clock: Date.now,
  });

/** An archive to which nobody has written lately. */
function put(name: string, text = 'x'): string {
  const path = join(watched, name);
  writeFileSync(path, text);
  utimesSync(path, OLD, OLD);
  return path;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-watch-'));
  watched = join(directory, 'watched');
  mkdirSync(watched);
  calls = [];
  logged = [];
  answer = async () => installed;
  whenCalled = Promise.withResolvers();
  watch = watchOf(watched);
});
afterEach(async () => {
  await watch.stop();
  rmSync(directory, { recursive: true });
});

it('installs each archive once, in the order of names, and says so', async () => {
  const [b, a] = [put('b.tar.zst'), put('a.tar.zst')];
  put('notes.txt');
  put('.c.tar.zst.partial');
  put('.d.tar.zst');
  await watch.look();
  await watch.look();
  expect(calls).toEqual(['reload', a, b, 'reload']);
  expect(logged).toEqual([a, b].map((path) => `info ${path}: acme/rules 1.2 is in use`));
});

it('logs a refused one once, leaves it, and looks again when it has changed', async () => {
  const path = put('bad.tar.zst');
  answer = () => Promise.reject(new PackError('malformed', 'it is no archive'));
  await watch.look();
  await watch.look();
  expect(calls).toEqual(['reload', path, 'reload']);
  expect(logged).toEqual([
    `warn ${path} is refused, and not looked at again before it changes: it is no archive`,
  ]);
  answer = async () => installed;
  put('bad.tar.zst', 'longer');
  await watch.look();
  expect(calls.at(-1)).toBe(path);
  expect(logged.at(-1)).toBe(`info ${path}: acme/rules 1.2 is in use`);
});

it('is quiet about what is not newer than what was installed', async () => {
  answer = async () => undefined;
  const path = put('old.tar.zst');
  await watch.look();
  expect(logged).toEqual([`debug ${path}: nothing newer than what was installed`]);
});

it('takes what is renamed into the directory, by itself', async () => {
  await watch.start(signal);
  const elsewhere = join(directory, 'new');
  writeFileSync(elsewhere, 'x');
  utimesSync(elsewhere, OLD, OLD);
  renameSync(elsewhere, join(watched, 'new.tar.zst'));
  await whenCalled.promise;
  expect(calls).toContain(join(watched, 'new.tar.zst'));
});

it('takes what is still being written only when it has been left alone for a while', async () => {
  const path = put('copied.tar.zst', 'half');
  writeFileSync(path, 'whole');
  await watch.start(signal);
  expect(calls).toEqual(['reload']);
  await whenCalled.promise;
  expect(calls.at(-1)).toBe(path);
});

it('hands links on to be refused, and passes over what is gone', async () => {
  const link = join(watched, 'link.tar.zst');
  symlinkSync('/etc/passwd', link);
  lutimesSync(link, OLD, OLD);
  answer = () => Promise.reject(new PackError('unreadable', 'it is a symbolic link'));
  await watch.look();
  expect(logged).toMatchObject([expect.stringMatching(/^warn .*link\.tar\.zst is refused/)]);
});

it('says when the directory is not there, and follows it when it has been made', async () => {
  watch = watchOf(join(directory, 'later'));
  await watch.start(signal);
  expect(logged).toEqual([expect.stringMatching(/^warn packs\.watch cannot be watched: make the directory/)]);
  watched = join(directory, 'later');
  mkdirSync(watched);
  await watch.look();
  const path = put('first.tar.zst');
  await whenCalled.promise;
  expect(calls.at(-1)).toBe(path);
});

it('reloads alone where nothing is watched, and goes on when that fails', async () => {
  watch = new PackWatch({
    directory: undefined,
    packs: {
      update: () => Promise.reject(new Error('not asked for')),
      reload: () => Promise.reject(new Error('broken')),
    },
    logger: { debug: log('debug'), info: log('info'), warn: log('warn') },
    clock: Date.now,
  });
  await watch.start(signal);
  expect(logged).toEqual(['warn the packs could not be taken up anew: broken']);
});

it.each(['is stopped', 'is interrupted'])(
  'gives up what it installs when it %s, without a word',
  async (how) => {
    put('a.tar.zst');
    put('b.tar.zst');
    const stuck = Promise.withResolvers<undefined>();
    answer = () => stuck.promise;
    const interrupt = new AbortController();
    const looking = watch.start(interrupt.signal);
    await whenCalled.promise;
    if (how === 'is stopped') void watch.stop();
    else interrupt.abort();
    stuck.reject(new Error('aborted'));
    await looking;
    await watch.look();
    expect(calls).toEqual(['reload', join(watched, 'a.tar.zst')]);
    expect(logged).toEqual([]);
  },
);
