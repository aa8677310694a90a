/**
 * A guest in memory, for tests of what acts upon guests: it has files and processes, keeps to the contract (a
 * repeated command id has the first outcome, a changed target is refused), and can be told to lose answers.
 */
import { createHash } from 'node:crypto';
import { ChannelError } from '../core/channel/error.ts';
import type { GuestSession } from '../core/channel/session.ts';
import type { ActingGuest } from '../core/control/execute.ts';
import {
  type ContentRecord,
  type ContentRequest,
  decodeBytes,
  type FileState,
  type FileTarget,
  INSTRUCTION_NAMES,
  type Instruction,
  type InstructionName,
  type Outcome,
  RECORD,
  type RestoreTarget,
  type SealedInstruction,
  type UpdateTarget,
  type WireBytes,
} from '../protocol/index.ts';
import { vm } from './records.ts';

export interface MemoryFile {
  content: Buffer;
  mode: number;
  uid: number;
  gid: number;
  ino: string;
}

const TIME = '1700000000.000000000';
const DEVICE = '64769';

export const sha256Of = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

export class MemoryGuest {
  readonly files = new Map<string, MemoryFile>();
  readonly processes = new Set<number>();
  readonly staged = new Map<string, Buffer>();
  /** Every command that arrived, repetitions included. */
  readonly received: SealedInstruction[] = [];
  /** What the agent remembers: it survives sessions. */
  readonly outcomes = new Map<string, Outcome>();
  /** Called before a command is carried out, and after it, before the answer. A throw loses the session. */
  before: (sealed: SealedInstruction) => void = () => undefined;
  after: (sealed: SealedInstruction) => void = () => undefined;
  private inodes = 100;

  write(path: string, content: string | Buffer, mode = 0o644): FileTarget {
    const bytes = Buffer.from(content);
    const file = { content: bytes, mode, uid: 0, gid: 0, ino: String(++this.inodes) };
    this.files.set(path, file);
    return { path, dev: DEVICE, ino: file.ino, sha256: sha256Of(bytes) };
  }

  text(path: string): string | undefined {
    return this.files.get(path)?.content.toString('utf8');
  }

  /** A new session with it. */
  connect(instructions: readonly InstructionName[] = INSTRUCTION_NAMES): ActingGuest {
    const session = this.session();
    return { vm: vm(), session, instructionSet: { id: 'set-1', instructions, withheld: [] } };
  }

  private session(): GuestSession {
    const unused = () => {
      throw new Error('a test guest has no such request');
    };
    return {
      id: 'session',
      epoch: vm().epoch,
      login: vm().login,
      ended: new Promise(() => undefined),
      queryFeatures: unused,
      listFiles: unused,
      listProcesses: unused,
      claimDigests: unused,
      readPieces: unused,
      grant: async () => undefined,
      close: async () => undefined,
      readContent: (request) => this.read(request),
      send: async (sealed) => this.answer(sealed),
      stage: async (sha256, content) => {
        const parts = await Array.fromAsync(content);
        this.staged.set(sha256, Buffer.concat(parts));
      },
    };
  }

  private answer(sealed: SealedInstruction): Outcome {
    this.received.push(sealed);
    this.before(sealed);
    const outcome = this.outcomes.get(sealed.id) ?? this.carryOut(sealed.instruction);
    this.outcomes.set(sealed.id, outcome);
    this.after(sealed);
    return outcome;
  }

  private carryOut(instruction: Instruction): Outcome {
    switch (instruction.name) {
      case 'stop:process':
        return { code: this.processes.delete(instruction.target.pid) ? 'done' : 'vanished' };
      case 'contain:file':
      case 'delete:file':
        return this.remove(instruction.target);
      case 'restore:file':
        return this.restore(instruction.target);
      case 'update:file':
        return this.update(instruction.target);
    }
  }

  private remove({ path, ino, sha256 }: FileTarget): Outcome {
    const file = this.files.get(keyOf(path));
    if (!file) return { code: 'vanished' };
    if (file.ino !== ino || sha256Of(file.content) !== sha256) return { code: 'changed' };
    this.files.delete(keyOf(path));
    return { code: 'done', state: stateOf(file) };
  }

  private restore({ path, sha256, state }: RestoreTarget): Outcome {
    const content = this.staged.get(sha256);
    if (!content) return { code: 'not-staged' };
    if (this.files.has(keyOf(path))) return { code: 'occupied' };
    this.write(keyOf(path), content, state.mode);
    return { code: 'done' };
  }

  private update({ path, expect, content, mode }: UpdateTarget): Outcome {
    const file = this.files.get(keyOf(path));
    if ((file ? sha256Of(file.content) : null) !== expect) return { code: file ? 'changed' : 'vanished' };
    if (content === null) {
      this.files.delete(keyOf(path));
      return { code: 'done' };
    }
    const staged = this.staged.get(content);
    if (!staged) return { code: 'not-staged' };
    this.write(keyOf(path), staged, mode ?? file?.mode);
    return { code: 'done' };
  }

  private async *read({ files, maxFileBytes }: ContentRequest): AsyncGenerator<readonly ContentRecord[]> {
    for (const [index, wanted] of files.entries()) {
      const file = 'path' in wanted ? this.files.get(keyOf(wanted.path)) : undefined;
      if (!file) yield [json(RECORD.fail, index, { reason: 'vanished' })];
      else if (file.content.length > maxFileBytes) yield [json(RECORD.fail, index, { reason: 'too-large' })];
      else {
        yield [json(RECORD.open, index, factsOf(file))];
        const middle = file.content.length >> 1;
        yield [
          { kind: RECORD.data, index, payload: file.content.subarray(0, middle) },
          { kind: RECORD.data, index, payload: file.content.subarray(middle) },
        ];
        yield [{ kind: RECORD.end, index, payload: Buffer.alloc(0) }];
      }
    }
  }
}

export const lost = (): never => {
  throw new ChannelError('session-lost', 'the channel was cut');
};

const keyOf = (path: WireBytes): string => decodeBytes(path).toString('latin1');

const json = (kind: ContentRecord['kind'], index: number, payload: unknown): ContentRecord => ({
  kind,
  index,
  payload: Buffer.from(JSON.stringify(payload)),
});

const stateOf = ({ mode, uid, gid }: MemoryFile): FileState => ({
  mode,
  uid,
  gid,
  atime: TIME,
  mtime: TIME,
  xattrs: [{ name: 'user.origin', value: 'eA==' }],
});

const factsOf = ({ content, mode, uid, gid, ino }: MemoryFile) => ({
  dev: DEVICE,
  ino,
  size: content.length,
  mtime: TIME,
  ctime: TIME,
  mode: 0o100000 | mode,
  uid,
  gid,
  links: 1,
});
