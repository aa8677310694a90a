/**
 * Directories in which the guest's loader looks for libraries besides the standard ones: glibc's `/etc/ld.so.conf`
 * (one to a line; it includes files of `ld.so.conf.d` in all distributions) and musl's `/etc/ld-musl-ARCH.path`
 * (separated by newlines or colons). Sources: ldconfig(8), musl's ldso/dynlink.c.
 */
import { encodeBytes } from '../../../protocol/index.ts';
import { ChannelError } from '../../channel/error.ts';
import type { GuestSession } from '../../channel/session.ts';
import type { GuestTree } from './guest-tree.ts';

const SETTINGS = '/etc';
const PARTS = '/etc/ld.so.conf.d';
const MOST_FILES = 128;
const MOST_BYTES = 16 * 1024;
const MOST_DIRECTORIES = 256;

/** Rejects with ChannelError, SurveyError. */
export async function libraryDirectories(
  tree: GuestTree,
  session: GuestSession,
  signal: AbortSignal,
): Promise<string[]> {
  const paths = [...(await pathsIn(tree, SETTINGS, isSettings)), ...(await pathsIn(tree, PARTS, isPart))];
  const texts = await readTexts(paths.slice(0, MOST_FILES), session, signal);
  return texts.flatMap(directoriesIn).slice(0, MOST_DIRECTORIES);
}

const isSettings = (name: string): boolean => name === 'ld.so.conf' || /^ld-musl-[^/]+\.path$/.test(name);
const isPart = (name: string): boolean => name.endsWith('.conf');

async function pathsIn(
  tree: GuestTree,
  path: string,
  isWanted: (name: string) => boolean,
): Promise<string[]> {
  const found = await tree.follow(path);
  const directory = found === undefined ? undefined : await tree.directory(found);
  const names = [...(directory?.files.keys() ?? []), ...(directory?.links.keys() ?? [])].filter(isWanted);
  const files = await Promise.all(names.map((name) => tree.file(`${path}/${name}`)));
  return files.flatMap((file) => (file?.isRootsAlone ? [file.path] : []));
}

async function readTexts(
  paths: readonly string[],
  session: GuestSession,
  signal: AbortSignal,
): Promise<string[]> {
  if (paths.length === 0) return [];
  const files = paths.map((path) => ({
    path: encodeBytes(Buffer.from(path, 'latin1')),
    pieces: [[0, MOST_BYTES] as [number, number]],
  }));
  const texts: string[] = [];
  try {
    for await (const line of session.readPieces({ files }, signal)) {
      if (line.type === 'pieces') texts.push(Buffer.from(line.data[0] ?? '', 'base64').toString('latin1'));
    }
  } catch (error) {
    // An agent that is older than this request: nothing is read from programs either.
    if (!(error instanceof ChannelError) || error.code !== 'refused') throw error;
  }
  return texts;
}

function directoriesIn(text: string): string[] {
  return text
    .split(/[\n:]/)
    .map((line) => line.replace(/[#=].*/, '').trim())
    .filter((line) => line.startsWith('/'));
}
