import { describe, expect, it } from 'vitest';
import { ProtocolError } from './error.ts';
import { fromPairs, INSTRUCTION_NAMES, toPairs } from './instructions.ts';
import { decodeCommand, encodeCommand, encodeFeatureQuery, type SealedInstruction } from './openc2.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const SHA = 'ab'.repeat(32);
const file = { path: '/tmp/x', dev: '1', ino: '18446744073709551615', sha256: SHA };
const state = { mode: 0o644, uid: 0, gid: 0, atime: '1.000000000', mtime: '-1.000000000', xattrs: [] };

const seal = (instruction: SealedInstruction['instruction']): SealedInstruction => ({
  ...{ id: ID, epoch: 3, expires: 1_700_000_000_000 },
  instruction,
});
const encode = (message: unknown): Buffer => Buffer.from(JSON.stringify(message));

const codeOf = (message: unknown): string => {
  try {
    decodeCommand(encode(message));
    return 'no error';
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error);
  }
};

/** A command with one place of it changed. */
function changed(
  change: (request: Record<string, unknown>, message: Record<string, unknown>) => void,
): unknown {
  const message = structuredClone(encodeCommand(seal({ name: 'delete:file', target: file }))) as {
    headers: unknown;
    body: { openc2: { request: Record<string, unknown> } };
  };
  change(message.body.openc2.request, message as never);
  return message;
}

describe('a command', () => {
  it.each<[SealedInstruction['instruction']]>([
    [{ name: 'delete:file', target: file }],
    [{ name: 'contain:file', target: { ...file, path: { b64: 'L/8=' } } }],
    [{ name: 'stop:process', target: { pid: 1, start: '5', executable: { dev: '1', ino: '2' } } }],
    [{ name: 'restore:file', target: { path: '/x', sha256: SHA, state } }],
    [{ name: 'update:file', target: { path: '/x', expect: null, content: SHA, mode: 0o600 } }],
  ])('of %o is the same after a way over the wire', (instruction) => {
    const sealed = seal(instruction);
    expect(decodeCommand(encode(encodeCommand(sealed)))).toEqual({ kind: 'act', requestId: ID, sealed });
  });

  it('has the same bytes when it is repeated', () => {
    const sealed = seal({ name: 'delete:file', target: file });
    expect(encode(encodeCommand(sealed))).toEqual(encode(encodeCommand(structuredClone(sealed))));
  });

  it('may ask for the features', () => {
    expect(decodeCommand(encode(encodeFeatureQuery(ID)))).toEqual({ kind: 'query-features', requestId: ID });
  });

  it.each<[string, unknown]>([
    ['without a command id', changed((request) => delete request.command_id)],
    ['without its seal', changed((request) => delete request.args)],
    ['without an expiry', changed((request) => (request.args = { 'x-lazaret': { epoch: 1 } }))],
    ['of an unknown action', changed((request) => (request.action = 'detonate'))],
    ['of an action that objects inherit', changed((request) => (request.action = 'constructor'))],
    ['on no target', changed((request) => (request.target = {}))],
    ['on two targets', changed((request) => (request.target = { file, process: {} }))],
    [
      'on a pid alone',
      changed((request) => Object.assign(request, { action: 'stop', target: { process: { pid: 1 } } })),
    ],
    [
      'on a file without its digest',
      changed((request) => (request.target = { file: { ...file, sha256: '' } })),
    ],
    [
      'that updates nothing to nothing',
      changed((request) =>
        Object.assign(request, {
          action: 'update',
          target: { file: { path: '/x', expect: null, content: null } },
        }),
      ),
    ],
    ['with a malformed id', changed((request) => (request.command_id = '../../etc'))],
  ])('%s is malformed', (_name, message) => {
    expect(codeOf(message)).toBe('malformed-message');
  });
});

describe('pairs', () => {
  it('name every instruction, there and back', () => {
    expect(fromPairs(toPairs(INSTRUCTION_NAMES))).toEqual(new Set(INSTRUCTION_NAMES));
    expect(toPairs(['contain:file', 'delete:file', 'query:files', 'query:content'])).toEqual({
      contain: ['file'],
      delete: ['file'],
      query: ['files', 'content'],
    });
  });

  it('that this version does not know are ignored', () => {
    expect(fromPairs({ detonate: ['host'], stop: ['service', 'process'] })).toEqual(
      new Set(['stop:process']),
    );
    expect(fromPairs({})).toEqual(new Set());
  });
});
