/**
 * Surveys a guest that floods, in a process with little memory: millions of entries of one kind. Prints whether
 * anything may be done to a file of the guest afterwards, how many entries it took in, and at which of them it stopped.
 */
import type { FileEntry, InventoryRequest, LinkEntry, PieceRequest } from '../../../protocol/index.ts';
import type { GuestSession, ListedLine, ReadPieces } from '../../channel/session.ts';
import { NeverTouch } from '../../control/never-touch.ts';
import { Survey } from './survey.ts';

const LINE_ENTRIES = 512;
const TIME = '1700000000.000000000';
const [DIRECTORY, REGULAR] = [0o040755, 0o100755];

export type Flood = 'files' | 'links' | 'modules' | 'directories' | 'libraries' | 'chain' | 'nothing';

const [, , kind = 'nothing', count = '0'] = process.argv;
const limit = Number(count);
let sent = 0;

const entry = (name: string, ino: number): FileEntry => [name, `${ino}`, 64, TIME, TIME, REGULAR, 0, 0, 1];
const line = (path: string, files: FileEntry[], links: LinkEntry[] = []): ListedLine => ({
  type: 'directory',
  path,
  dev: '1',
  files,
  links,
  access: [DIRECTORY, 0, 0],
  digest: '0'.repeat(32),
});

/** They are the package manager's, each with needs of its own. */
const PROGRAMS = Array.from({ length: 100 }, (_, at) => entry(`dpkg-${at}`, 1_000_000 + at));

/** Where each flood comes from. */
const FLOODED: Readonly<Record<string, string>> = {
  files: '/usr/bin',
  links: '/usr/bin',
  modules: '/lib/modules',
};

async function* listFiles({ roots }: InventoryRequest): AsyncGenerator<ListedLine> {
  for (const root of roots) {
    const path = String(root);
    if (path === FLOODED[kind]) yield* flood(path);
    else if (path === '/bin') yield line(path, [entry('bash', 1), ...PROGRAMS]);
    else if (path === '/lib' && kind === 'chain') {
      const names = Array.from({ length: 1000 }, (_, at) => entry(`l${at}.so`, at + 2));
      yield line(path, names);
    } else if (['/', '/usr', '/lib'].includes(path)) yield line(path, []);
    else yield { type: 'fault', path, fault: 'vanished', detail: '' };
  }
  yield { type: 'end', files: 0, directories: 0, bytes: 0 };
}

function* flood(path: string): Generator<ListedLine> {
  while (sent < limit) {
    const first = sent;
    const names = Array.from({ length: LINE_ENTRIES }, (_, at) => `flood-${first + at}`);
    sent += LINE_ENTRIES;
    const isLinks = kind === 'links';
    const files = isLinks ? [] : names.map((name, at) => entry(name, first + at + 2));
    yield line(path, files, isLinks ? names.map((name): LinkEntry => [name, `/x/${name}`]) : []);
  }
}

/** Each program needs what nothing else does. */
async function* readPieces({ files }: PieceRequest): AsyncGenerator<ReadPieces> {
  const { elfFile } = await import('../../../test/elf-file.ts');
  for (const [index, { path, pieces }] of files.entries()) {
    sent++;
    const at = Number(/\d+/.exec(String(path))?.[0] ?? -1);
    const content = elfFile(needsOf(at));
    const data = pieces.map(([from, bytes]) => content.subarray(from, from + bytes).toString('base64'));
    yield { type: 'pieces', index, data };
  }
}

function needsOf(at: number) {
  if (kind === 'chain') return { needs: [`l${at + 1}.so`] };
  const many = Array.from({ length: 512 }, (_, one) => one + 512 * (at + 1));
  if (kind === 'libraries') return { needs: many.map((one) => `l${one}.so`) };
  if (kind === 'directories') return { runpath: many.map((one) => `/s${one}`).join(':') };
  return {};
}

const session = { listFiles, readPieces } as unknown as GuestSession;
const neverTouch = new NeverTouch();
await new Survey(session, neverTouch, new AbortController().signal).run();
const target = { path: '/tmp/x', dev: '9', ino: '9', sha256: '0'.repeat(64) };
process.stdout.write(
  JSON.stringify({
    sent,
    reason: neverTouch.fileReason(target),
    shell: neverTouch.fileReason({ ...target, path: '/bin/bash' }),
  }),
);
