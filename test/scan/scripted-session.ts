/** A session that answers as it is told, for faults that no honest agent makes. It keeps to the contract of `GuestSession`. */
import type { ConnectedGuest } from '../../core/capability/connect.ts';
import type { GuestSession } from '../../core/channel/session.ts';
import {
  type ContentFault,
  type ContentRecord,
  type ContentRequest,
  decodeBytes,
  INSTRUCTION_NAMES,
  type InstructionName,
  type InventoryLine,
  type InventoryRequest,
  type Outcome,
  type ProcessLine,
  RECORD,
  type SealedInstruction,
} from '../../protocol/index.ts';
import { vm } from '../records.ts';

export const DEVICE = '2049';
const TIME = '1700000000.000000000';

/** One file: its content, or why it cannot be read; a fault may come after some of the content. */
export interface ScriptedFile {
  readonly path: string;
  readonly content?: string;
  readonly fault?: ContentFault;
  /** As the listing has it, when that is not the content's. */
  readonly size?: number;
  readonly ino?: string;
}

export interface Script {
  readonly files?: readonly ScriptedFile[];
  /** Lines of the listing besides those of the files, before its end. */
  readonly lines?: readonly InventoryLine[];
  /** The limit at which the listing ended. */
  readonly limit?: 'entries' | 'depth' | 'time';
  readonly processes?: readonly Extract<ProcessLine, { type: 'process' }>[];
  readonly instructions?: readonly InstructionName[];
  /** Called before each file is answered for; what it throws ends that response. */
  readonly beforeFile?: (path: string, signal: AbortSignal | undefined) => Promise<void> | void;
  readonly send?: (sealed: SealedInstruction) => Promise<Outcome>;
}

export class ScriptedSession implements GuestSession {
  readonly id = 'session';
  readonly epoch = 1;
  readonly login = vm().login;
  readonly ended = new Promise<undefined>(() => undefined);
  readonly listings: InventoryRequest[] = [];
  readonly requests: ContentRequest[] = [];
  readonly commands: SealedInstruction[] = [];
  private readonly script: Script;

  constructor(script: Script) {
    this.script = script;
  }

  async *listFiles(request: InventoryRequest): AsyncGenerator<InventoryLine> {
    this.listings.push(request);
    const { files = [], lines = [], limit } = this.script;
    for (const file of files) {
      const slash = file.path.lastIndexOf('/');
      const { size = file.content?.length ?? 0, ino = inodeOf(file.path) } = file;
      const entry = [file.path.slice(slash + 1), ino, size, TIME, TIME, 0o100644, 0, 0, 1] as const;
      yield { type: 'directory', path: file.path.slice(0, slash) || '/', dev: DEVICE, files: [[...entry]] };
    }
    yield* lines;
    yield { type: 'end', files: files.length, directories: 1, bytes: 0, ...(limit && { limit }) };
  }

  async *readContent(
    request: ContentRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly ContentRecord[]> {
    this.requests.push(request);
    for (const [index, wanted] of request.files.entries()) {
      signal?.throwIfAborted();
      const path = 'path' in wanted ? decodeBytes(wanted.path).toString() : `process ${wanted.pid}`;
      await this.script.beforeFile?.(path, signal);
      yield recordsOf(
        index,
        this.script.files?.find((file) => file.path === path),
        request.maxFileBytes,
      );
    }
  }

  async *listProcesses(): AsyncGenerator<ProcessLine> {
    const { processes = [] } = this.script;
    yield* processes;
    yield { type: 'end', processes: processes.length };
  }

  async send(sealed: SealedInstruction): Promise<Outcome> {
    this.commands.push(sealed);
    return (await this.script.send?.(sealed)) ?? { code: 'done' };
  }

  readonly queryFeatures = (): Promise<never> => Promise.reject(new Error('not scripted'));
  readonly stage = (): Promise<never> => Promise.reject(new Error('not scripted'));
  readonly grant = async (): Promise<void> => undefined;
  readonly close = async (): Promise<void> => undefined;
}

/** A guest that is connected by such a session. */
export function connected(script: Script): ConnectedGuest & { readonly session: ScriptedSession } {
  const { instructions = INSTRUCTION_NAMES } = script;
  const record = vm();
  if (!record.features) throw new TypeError('the record has features');
  return {
    domain: record,
    vm: record,
    session: new ScriptedSession(script),
    features: record.features,
    instructionSet: { id: 'set', instructions, withheld: [] },
  };
}

/** Stands for one path in all of a test. */
export const inodeOf = (path: string): string =>
  String(Array.from(path).reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 1_000_003, 7));

function recordsOf(index: number, file: ScriptedFile | undefined, maxFileBytes: number): ContentRecord[] {
  const json = (kind: ContentRecord['kind'], value: unknown): ContentRecord => ({
    kind,
    index,
    payload: Buffer.from(JSON.stringify(value)),
  });
  const { content, fault, path = '', ino = inodeOf(path) } = file ?? { fault: 'vanished' };
  if (content === undefined) return [json(RECORD.fail, { reason: fault ?? 'vanished' })];
  if (content.length > maxFileBytes) return [json(RECORD.fail, { reason: 'too-large' })];
  const facts = { dev: DEVICE, ino, size: content.length, mtime: TIME, ctime: TIME };
  const open = json(RECORD.open, { ...facts, mode: 0o100644, uid: 0, gid: 0, links: 1 });
  const half = content.length >> 1;
  const data = [content.slice(0, half), content.slice(half)].map(
    (part): ContentRecord => ({ kind: RECORD.data, index, payload: Buffer.from(part) }),
  );
  if (fault) return [open, ...data.slice(0, 1), json(RECORD.fail, { reason: fault })];
  return [open, ...data, { kind: RECORD.end, index, payload: Buffer.alloc(0) }];
}
