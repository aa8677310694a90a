/** A guest that has more of something than fits into memory: it makes up its listing line by line, and contents by name. */
import type { ServerHttp2Stream } from 'node:http2';
import {
  type ContentRequest,
  type DigestLine,
  encodeLine,
  encodeRecord,
  type InventoryLine,
  LIMITS,
  type ProcessLine,
  RECORD,
  ROUTES,
} from '../../protocol/index.ts';
import {
  bodyOf,
  FEATURES,
  HEARTBEAT,
  loginLine,
  type Script,
  type ScriptedAgent,
} from '../channel/scripted-agent.ts';

export interface Flood {
  /** Each time that the guest is asked for its files; the last line is `end`. */
  lines(known: readonly string[]): Iterable<InventoryLine>;
  /** What this file holds; undefined: it is gone. Default: nothing is there. */
  content?(path: string): Buffer | undefined;
  /** Those after a pid, in the order of their pids. Default: there is none. */
  processes?(after: number): Iterable<Process>;
  /** Bytes of a page, or how many lines it has at least. Default: as an honest agent has it. */
  readonly pageBytes?: number;
}

export type Process = Extract<ProcessLine, { type: 'process' }>;

const OLD = '1700000000.000000000';
const WALK = '00000000-0000-4000-8000-000000000001';
const HEARTBEAT_MS = 5_000;
const PIECE_BYTES = 64 * 1024;

/** An entry of the listing, so old that it can be known. */
export const listed = (name: string, size: number, ino = '7'): never =>
  [name, ino, size, OLD, OLD, 0o100644, 0, 0, 1] as never;

export const end = (files = 0): InventoryLine => ({ type: 'end', files, directories: 1, bytes: 0 });

/** `size`: of the files, as the listing has it. */
export const directory = (
  path: string,
  names: readonly string[],
  size: number,
  dev = '1',
): InventoryLine => ({
  ...{ type: 'directory', path, dev },
  files: names.map((name) => listed(name, size)),
});

export function flooding(flood: Flood): Omit<Script, 'keys'> {
  let walk: Iterator<InventoryLine>;
  return {
    // A clock, so that what it has can be known.
    features: { ...FEATURES, 'x-lazaret': { ...FEATURES['x-lazaret'], clock: Date.now() } },
    routes: {
      [ROUTES.login]: (stream, _headers, agent) => logIn(stream, agent),
      // Pages that come after the first have a path below this one.
      [ROUTES.files]: (stream, headers) =>
        answer(stream, async (body) => {
          if (headers[':path'] === ROUTES.files) walk = flood.lines(knownIn(body))[Symbol.iterator]();
          await sendPage(stream, walk, flood.pageBytes);
        }),
      [ROUTES.content]: (stream) => answer(stream, (body) => sendContents(stream, flood, body)),
      [ROUTES.processes]: (stream) => answer(stream, (body) => sendProcesses(stream, flood, body)),
      [ROUTES.digests]: (stream) => answer(stream, async (body) => tellNoDigests(stream, body)),
    },
  };
}

/** With heartbeats: it lives as long as the host wants it to. */
function logIn(stream: ServerHttp2Stream, agent: ScriptedAgent): void {
  stream.respond({ ':status': 200 });
  stream.write(encodeLine(loginLine(agent)));
  stream.on('data', (chunk) => {
    agent.take(JSON.parse(String(chunk)));
    stream.write(HEARTBEAT);
  });
  const beat = setInterval(() => stream.write(HEARTBEAT), HEARTBEAT_MS);
  stream.on('close', () => clearInterval(beat));
}

/** The host may have gone by then. */
function answer(stream: ServerHttp2Stream, work: (body: Buffer) => Promise<void>): void {
  bodyOf(stream)
    .then(work)
    .catch(() => stream.destroy());
}

/** 32 hexadecimal digits each, after the request, which is one line of JSON. */
function knownIn(body: Buffer): string[] {
  const digests = body.subarray(body.indexOf('\n') + 1).toString('hex');
  return digests.match(/.{32}/g) ?? [];
}

async function sendPage(
  stream: ServerHttp2Stream,
  walk: Iterator<InventoryLine>,
  pageBytes: number = LIMITS.inventoryPageBytes,
): Promise<void> {
  stream.respond({ ':status': 200 });
  let sent = 0;
  const piece: Buffer[] = [];
  const flush = () => send(stream, Buffer.concat(piece.splice(0)));
  for (let next = walk.next(); !next.done; next = walk.next()) {
    const line = encodeLine(next.value);
    piece.push(line);
    sent += line.length;
    if (sent % PIECE_BYTES < line.length) await flush();
    if (next.value.type === 'end' || stream.destroyed) break;
    if (sent >= pageBytes) {
      piece.push(encodeLine({ type: 'more', walk: WALK }));
      break;
    }
  }
  await flush();
  stream.end();
}

async function sendContents(stream: ServerHttp2Stream, { content }: Flood, body: Buffer): Promise<void> {
  const { files } = JSON.parse(String(body)) as ContentRequest;
  stream.respond({ ':status': 200 });
  for (const [index, file] of files.entries()) {
    const bytes = 'path' in file ? content?.(String(file.path)) : undefined;
    await send(stream, bytes ? recordsOf(index, bytes) : gone(index));
  }
  stream.end();
}

async function sendProcesses(
  stream: ServerHttp2Stream,
  { processes = () => [] }: Flood,
  body: Buffer,
): Promise<void> {
  const { after } = body.length > 0 ? (JSON.parse(String(body)) as { after: number }) : { after: 0 };
  stream.respond({ ':status': 200 });
  let sent = 0;
  for (const process of processes(after)) {
    const line = encodeLine(process);
    await send(stream, line);
    sent += line.length;
    if (sent < LIMITS.processPageBytes && !stream.destroyed) continue;
    stream.end(encodeLine({ type: 'more', after: process.pid } satisfies ProcessLine));
    return;
  }
  stream.end(encodeLine({ type: 'end', processes: 0 } satisfies ProcessLine));
}

const gone = (index: number): Buffer =>
  encodeRecord(RECORD.fail, index, Buffer.from(JSON.stringify({ reason: 'vanished' })));

/** Its facts are those of the listing. */
function recordsOf(index: number, bytes: Buffer): Buffer {
  const facts = { dev: '1', ino: '7', size: bytes.length, mtime: OLD, ctime: OLD, mode: 0o100644 };
  const opened = Buffer.from(JSON.stringify({ ...facts, uid: 0, gid: 0, links: 1 }));
  return Buffer.concat([
    encodeRecord(RECORD.open, index, opened),
    encodeRecord(RECORD.data, index, bytes),
    encodeRecord(RECORD.end, index, Buffer.alloc(0)),
  ]);
}

function tellNoDigests(stream: ServerHttp2Stream, body: Buffer): void {
  const { files } = JSON.parse(String(body)) as ContentRequest;
  const lines = files.map(
    (_, index): DigestLine => ({ type: 'failure', index, failure: { reason: 'vanished' } }),
  );
  stream.respond({ ':status': 200 });
  stream.end(Buffer.concat([...lines, { type: 'end' }].map(encodeLine)));
}

async function send(stream: ServerHttp2Stream, bytes: Buffer): Promise<void> {
  if (stream.destroyed || stream.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const goOn = () => {
      stream.off('drain', goOn).off('close', goOn);
      resolve();
    };
    stream.on('drain', goOn).on('close', goOn);
  });
}
