/** What a hostile guest does when the host asks it for its files. */
import type { ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { encodeLine, encodeRecord, encodeRecordHeader, RECORD, ROUTES } from '../../protocol/index.ts';
import { FLAG, FRAME, flood, frame, logInByHand, STATUS_200, status } from './frames.ts';
import { bodyOf, entry, factsOf, type Script } from './scripted-agent.ts';

export type Attack = Pick<Script, 'raw' | 'routes'>;

const LOGIN = {
  type: 'login',
  protocol: [1],
  agent: { id: '00000000-0000-4000-8000-000000000001', version: 'hostile' },
  bootId: '00000000-0000-4000-8000-000000000002',
};

const byHand = (attack: (tls: TLSSocket, stream: number) => void): Attack => ({
  raw: (tls) => logInByHand(tls, LOGIN, (stream) => attack(tls, stream)),
});

const many = (bytes: Buffer): Buffer => Buffer.concat(Array.from({ length: 500 }, () => bytes));
const floodOf = (make: (stream: number) => Buffer): Attack =>
  byHand((tls, stream) => flood(tls, many(make(stream))));

/** Answers 200 and then runs `write` again and again, as fast as the host takes it. */
const endless = (route: string, bytes: Buffer, first: Buffer = Buffer.alloc(0)): Attack => ({
  routes: {
    [route]: (stream) =>
      void bodyOf(stream).then(async () => {
        stream.respond({ ':status': 200 });
        stream.write(first);
        await writeFor(stream, bytes);
      }),
  },
});

async function writeFor(stream: ServerHttp2Stream, bytes: Buffer): Promise<void> {
  while (!stream.destroyed) {
    if (!stream.write(bytes)) await new Promise((resolve) => stream.once('drain', resolve));
  }
}

const begin = (stream: number) => frame(FRAME.headers, FLAG.endHeaders, stream, STATUS_200);
const open = (index: number, size: number) =>
  encodeRecord(RECORD.open, index, Buffer.from(JSON.stringify(factsOf(size))));

/** Attacks below HTTP/2 and on it; each begins when the host asks for the file list. */
export const FRAME_ATTACKS: Readonly<Record<string, Attack>> = {
  'floods SETTINGS': floodOf(() => frame(FRAME.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 9]))),
  'floods acknowledged SETTINGS': floodOf(() => frame(FRAME.settings, FLAG.ack, 0)),
  'floods PING': floodOf(() => frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
  'floods PING and reads no answer': byHand((tls) => {
    tls.pause();
    flood(tls, many(frame(FRAME.ping, 0, 0, Buffer.alloc(8))));
  }),
  'floods empty DATA': byHand((tls, stream) => {
    tls.write(begin(stream));
    flood(tls, many(frame(FRAME.data, 0, stream)));
  }),
  'floods DATA of one byte': byHand((tls, stream) => {
    tls.write(begin(stream));
    flood(tls, many(frame(FRAME.data, 0, stream, Buffer.from('{'))));
  }),
  'floods TLS records of one frame': byHand((tls, stream) => {
    tls.write(begin(stream));
    flood(tls, frame(FRAME.window, 0, 0, Buffer.from([0, 0, 0, 1])));
  }),
  'floods RST_STREAM': floodOf((stream) => frame(FRAME.reset, 0, stream, Buffer.from([0, 0, 0, 8]))),
  'floods WINDOW_UPDATE': floodOf(() => frame(FRAME.window, 0, 0, Buffer.from([0, 0, 0, 1]))),
  'floods PRIORITY': floodOf((stream) => frame(FRAME.priority, 0, stream, Buffer.from([0, 0, 0, 0, 1]))),
  'floods frames of an unknown type': floodOf(() => frame(0xee, 0, 0, Buffer.alloc(64))),
  'floods ALTSVC': floodOf((stream) => frame(FRAME.altsvc, 0, stream, Buffer.from([0, 0, 97]))),
  'floods HEADERS': floodOf((stream) => frame(FRAME.headers, FLAG.endHeaders, stream, STATUS_200)),
  'floods answers before the answer': floodOf((stream) =>
    frame(FRAME.headers, FLAG.endHeaders, stream, status(103)),
  ),
  'floods HEADERS of streams that are not there': floodOf(() =>
    frame(FRAME.headers, FLAG.endHeaders, 99, STATUS_200),
  ),
  'pushes unasked': floodOf((stream) =>
    frame(FRAME.push, FLAG.endHeaders, stream, Buffer.from([0, 0, 0, 2, 0x82])),
  ),
  'sends CONTINUATION without end': byHand((tls, stream) => {
    tls.write(frame(FRAME.headers, 0, stream, STATUS_200));
    flood(tls, many(frame(FRAME.continuation, 0, stream)));
  }),
  'sends a header bomb': byHand((tls, stream) => {
    const field = Buffer.concat([Buffer.from([0x00, 1, 0x78, 0x7f, 0xe1, 0x1e]), Buffer.alloc(4000, 0x61)]);
    const block = Buffer.concat([STATUS_200, field, field, field, field]);
    flood(tls, frame(FRAME.headers, FLAG.endHeaders, stream, block.subarray(0, 16_384)));
  }),
  'sends noise': byHand((tls) => flood(tls, Buffer.alloc(8192, 0x5a))),
};

const line = (files: unknown[]) => encodeLine({ type: 'directory', path: '/loop', dev: '1', files });

/** Attacks in the answer to the request for files. */
export const LIST_ATTACKS: Readonly<Record<string, Attack>> = {
  'lists in a loop': endless(ROUTES.files, line([entry('a', 1), entry('b', 1)])),
  'lists empty directories in a loop': endless(ROUTES.files, line([])),
  'sends an endless line': endless(ROUTES.files, Buffer.alloc(65_536, 0x20), Buffer.from('{')),
  'sends empty lines': endless(ROUTES.files, Buffer.alloc(65_536, 0x0a)),
  'floods heartbeats': {
    routes: {
      [ROUTES.login]: (stream, _headers, agent) => {
        stream.respond({ ':status': 200 });
        stream.write(encodeLine({ ...LOGIN, bootId: agent.bootId }));
        stream.once('data', () => void writeFor(stream, many(encodeLine({ type: 'heartbeat' }))));
      },
      [ROUTES.files]: () => undefined,
    },
  },
};

/** Attacks in the answer to a request for content. */
export const CONTENT_ATTACKS: Readonly<Record<string, Attack>> = {
  'sends a million tiny records': endless(
    ROUTES.content,
    many(encodeRecord(RECORD.data, 0, Buffer.from('x'))),
    open(0, 1 << 30),
  ),
  'sends a file that never ends': endless(
    ROUTES.content,
    encodeRecord(RECORD.data, 0, Buffer.alloc(65_536)),
    open(0, 4096),
  ),
  'sends a file that never ends and promised so': endless(
    ROUTES.content,
    encodeRecord(RECORD.data, 0, Buffer.alloc(65_536)),
    open(0, Number.MAX_SAFE_INTEGER),
  ),
  'opens the same file again and again': endless(ROUTES.content, many(open(0, 1))),
  'promises a record of 2^32-1 bytes': endless(
    ROUTES.content,
    Buffer.alloc(65_536),
    encodeRecordHeader(RECORD.open, 0, 0xffff_ffff),
  ),
};

const executable = { path: '/bin/x', dev: '1', ino: '2', deleted: false, inMemory: false, placed: true };
const told = { type: 'process', pid: 7, parent: 1, start: '5', uid: 0, name: 'x', executable };
const process = (more: object) => encodeLine({ ...told, commandLine: ['x'], ...more });
const WORD = 'w'.repeat(16_000);

/** The same in the list of its processes. */
export const PROCESS_ATTACKS: Readonly<Record<string, Attack>> = {
  'lists processes with 900 KB of arguments each': endless(
    ROUTES.processes,
    process({ commandLine: Array(56).fill(WORD) }),
  ),
  'lists processes with 900 KB of what no host knows': endless(
    ROUTES.processes,
    process({ unknown: 'u'.repeat(900_000) }),
  ),
  'lists processes with as many arguments as one may have': endless(
    ROUTES.processes,
    process({ commandLine: Array(1024).fill('0123456789abcde') }),
  ),
  'lists processes without end': endless(ROUTES.processes, many(process({}))),
};
