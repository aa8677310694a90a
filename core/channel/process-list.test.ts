import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeLine, LIMITS, lengthOf, type WireBytes } from '../../protocol/index.ts';
import { ProcessList } from './process-list.ts';

const PROCESS = {
  ...{ type: 'process', pid: 7, parent: 1, start: '5', uid: 0, name: 'x', commandLine: ['x'] },
  executable: { path: '/bin/x', dev: '1', ino: '2', deleted: false, inMemory: false },
} as const;
const MOST = LIMITS.commandLineBytes;
const line = (message: unknown): Buffer => encodeLine(message).subarray(0, -1);
const take = (message: unknown) => new ProcessList().take(line(message));

describe('a list of processes', () => {
  it('gives each as it came, and the end', () => {
    const more = {
      ...{ cut: true, kernelThread: false, namespace: 'foreign' },
      container: { runtime: 'docker', id: 'a' },
      executable: { ...PROCESS.executable, placed: false },
    };
    for (const message of [PROCESS, { ...PROCESS, ...more }]) expect(take(message)).toEqual(message);
    expect(take({ type: 'end', processes: 1 })).toEqual({ type: 'end', processes: 1 });
    expect(take({ type: 'end', processes: 1, limit: 'bytes' })).toMatchObject({ limit: 'bytes' });
  });

  it.each<[string, object]>([
    ['arguments too long together', { commandLine: ['a'.repeat(MOST), 'b'] }],
    ['a megabyte of arguments, each of them allowed', { commandLine: Array(60).fill('a'.repeat(MOST)) }],
    ['arguments as bytes, too long together', { commandLine: Array(2).fill({ b64: 'A'.repeat(MOST) }) }],
    ['too many arguments', { commandLine: Array(LIMITS.commandLineArguments + 1).fill('') }],
    ['a name that is no text', { name: '\ud800' }],
    ['an argument that is no text', { commandLine: ['\udfff'] }],
    ['no start', { start: undefined }],
    ['a path of another kind', { executable: { ...PROCESS.executable, path: 7 } }],
    ['a namespace of a kind that there is not', { namespace: 'odd\u001b[2J' }],
  ])('loses a process with %s, and nothing else', (_, odd) => {
    const list = new ProcessList();
    expect(list.take(line({ ...PROCESS, ...odd }))).toMatchObject({
      type: 'fault',
      pid: 7,
      detail: expect.stringMatching(/^its line breaks the contract \([\x20-\x7e]*\)$/),
    });
    expect(list.take(line(PROCESS))).toEqual(PROCESS);
  });

  it.each([[{}], [{ type: 'process', pid: -1 }], [{ type: 'odd' }], [[]], ['x'], [null]])(
    'names no process in %j',
    (message) => {
      const fault = take(message);
      expect(fault).toMatchObject({ type: 'fault' });
      expect(fault).not.toHaveProperty('pid');
    },
  );

  it.each([
    ['no JSON', Buffer.from('{')],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['nested too deep', Buffer.from('['.repeat(LIMITS.messageDepth + 1))],
    ['a message too long', Buffer.alloc(LIMITS.messageBytes + 1, ' ')],
  ])('takes what is %s for no line at all', (_, bytes) => {
    expect(() => new ProcessList().take(bytes)).toThrow(expect.objectContaining({ name: 'ProtocolError' }));
  });

  it('is cut at its bound of bytes', () => {
    const list = new ProcessList();
    const large = line({ ...PROCESS, unknown: 'u'.repeat(900_000) });
    let taken = 0;
    while (list.take(large).type === 'process') taken++;
    expect(taken).toBe(Math.floor(LIMITS.processListBytes / large.length));
    expect(list.take(line(PROCESS))).toEqual({ type: 'cut', limit: 'bytes' });
  });

  it('is cut at its bound of processes, those counted that were lost', () => {
    const list = new ProcessList();
    const short = line({ type: 'process' });
    for (let taken = 0; taken < LIMITS.processes; taken++) list.take(short);
    expect(list.lines).toBe(LIMITS.processes);
    expect(list.take(line({ type: 'end', processes: LIMITS.processes }))).toMatchObject({ type: 'end' });
    expect(list.take(short)).toEqual({ type: 'cut', limit: 'processes' });
  });
});

const word = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3000 }),
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => ({ b64: Buffer.from(bytes).toString('base64') })),
);

it('takes all arguments that have room together, and no others', () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words: WireBytes[]) => {
      const message = { ...PROCESS, commandLine: words };
      const isShort = words.reduce((sum, each) => sum + lengthOf(each), 0) <= MOST;
      expect(take(message).type).toBe(isShort ? 'process' : 'fault');
    }),
  );
});
