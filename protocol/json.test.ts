import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { cutAt, cuts } from '../test/cutting.ts';
import { ProtocolError } from './error.ts';
import { encodeLine, LineSplitter, parseMessage } from './json.ts';
import { LIMITS } from './limits.ts';
import { Features, InventoryLine, LoginRequest, Refusal } from './messages.ts';

function split(chunks: readonly Buffer[]): string[] {
  const splitter = new LineSplitter();
  const lines = chunks.flatMap((chunk) => Array.from(splitter.push(chunk), (line) => line.toString('utf8')));
  splitter.end();
  return lines;
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'no error';
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error);
  }
};
const parse = (text: string | Buffer, schema: z.ZodType = z.unknown()) =>
  parseMessage(schema, Buffer.from(text as string));

describe('lines', () => {
  it('are the same however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { maxLength: 20 }), cuts, (messages, at) => {
        const bytes = Buffer.concat(messages.map(encodeLine));
        expect(split(cutAt(bytes, at))).toEqual(messages.map((message) => JSON.stringify(message)));
      }),
    );
  });

  it('are the same byte by byte', () => {
    const bytes = encodeLine({ text: 'x'.repeat(2000) });
    const pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
    expect(split(pieces)).toEqual([bytes.toString('utf8').trimEnd()]);
  });

  it('over the limit are refused before they end', () => {
    const splitter = new LineSplitter();
    const push = (bytes: number) => Array.from(splitter.push(Buffer.alloc(bytes, 0x61)));
    expect(push(LIMITS.messageBytes)).toEqual([]);
    expect(codeOf(() => push(1))).toBe('message-too-large');
  });

  it('that do not end are refused at the end of the stream', () => {
    expect(codeOf(() => split([Buffer.from('{"a":')]))).toBe('malformed-message');
  });
});

describe('a message', () => {
  it.each<[string, string | Buffer, string]>([
    ['of nothing', '', 'malformed-message'],
    ['of noise', Buffer.from([0, 255, 17]), 'malformed-message'],
    ['that is truncated', '{"a":1', 'malformed-message'],
    ['that is two', '{} {}', 'malformed-message'],
    ['with invalid UTF-8', Buffer.from([0x22, 0xc0, 0x80, 0x22]), 'malformed-message'],
    ['with NaN', 'NaN', 'malformed-message'],
    ['with a deep array', `${'['.repeat(33)}${']'.repeat(33)}`, 'malformed-message'],
    ['with a very deep array', '['.repeat(100_000), 'malformed-message'],
    ['with a very deep object', '{"a":'.repeat(100_000), 'malformed-message'],
    ['over the limit', `"${'a'.repeat(LIMITS.messageBytes - 1)}"`, 'message-too-large'],
    ['at the limit', `"${'a'.repeat(LIMITS.messageBytes - 2)}"`, 'no error'],
    ['as deep as allowed', `${'['.repeat(32)}${']'.repeat(32)}`, 'no error'],
    ['whose brackets stand in strings', JSON.stringify({ a: '[{'.repeat(100), '"[': '\\' }), 'no error'],
  ])('%s', (_name, text, code) => {
    expect(codeOf(() => parse(text))).toBe(code);
  });

  it('cannot set a prototype', () => {
    const line = '{"code":"busy","message":"x","__proto__":{"polluted":true}}';
    expect(codeOf(() => parse(line, Refusal))).toBe('malformed-message');
    const pairs = JSON.stringify(FEATURES).replace('"contain"', '"__proto__"');
    const features = parseMessage(Features, Buffer.from(pairs));
    expect(Object.getPrototypeOf(features.pairs)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('with fields that this version does not know is read without them', () => {
    const untrusted = Buffer.from(JSON.stringify({ ...LOGIN, added: 'later' }));
    expect(parseMessage(LoginRequest, untrusted)).toEqual(LOGIN);
  });

  it('that is wrong is told of in harmless words, and few', () => {
    const hostile = { code: 'busy', message: '', [`\x1b[2J\u202e${'x'.repeat(10_000)}`]: 1 };
    const tell = () => parse(JSON.stringify(hostile), Refusal);
    expect(tell).toThrow('\\x1b[2J');
    expect(tell).toThrow(/^[^\p{C}]{10,300}$/u);
  });

  it('with a field twice has its last value', () => {
    const line = '{"type":"end","type":"end","files":1,"files":2,"directories":0,"bytes":0}';
    expect(parse(line, InventoryLine)).toMatchObject({ files: 2 });
  });

  it.each([
    ['an integer past 2^53', { type: 'end', files: 2 ** 53, directories: 0, bytes: 0 }],
    ['a fraction', { type: 'end', files: 1.5, directories: 0, bytes: 0 }],
    ['a negative count', { type: 'end', files: -1, directories: 0, bytes: 0 }],
    ['an inode as number', { type: 'directory', path: '/', dev: 1, files: [] }],
    ['an inode over 2^64', { type: 'directory', path: '/', dev: '1'.repeat(21), files: [] }],
    ['a type that there is not', { type: 'Directory' }],
    ['no type', {}],
  ])('with %s does not fit the schema', (_name, message) => {
    expect(codeOf(() => parse(JSON.stringify(message), InventoryLine))).toBe('malformed-message');
  });
});

const LOGIN: LoginRequest = {
  type: 'login',
  protocol: [1],
  agent: { id: '00000000-0000-4000-8000-000000000001', version: '1' },
  bootId: '00000000-0000-4000-8000-000000000002',
};
const FEATURES = {
  versions: [],
  profiles: [],
  pairs: { contain: ['file'] },
  'x-lazaret': {
    os: { id: '', version: '', name: '', kernel: '', arch: '' },
    init: '',
    privileges: { uid: 0, root: true },
    fileSystems: [],
    denied: [],
    limits: { stagedBytes: 0, contentFiles: 0 },
  },
};
