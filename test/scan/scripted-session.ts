/** A session that answers as it is told, for faults that no honest agent makes. It keeps to the contract of `GuestSession`. */
import { createHash } from 'node:crypto';
import type { ConnectedGuest } from '../../core/capability/connect.ts';
import type {
  GuestSession,
  KnownLines,
  ListedLine,
  ListedProcess,
  ReadPieces,
  UntrustedClaim,
} from '../../core/channel/session.ts';
import {
  type ContentFault,
  type ContentRecord,
  type ContentRequest,
  decodeBytes,
  type Features,
  INSTRUCTION_NAMES,
  type InstructionName,
  type InventoryLine,
  type InventoryRequest,
  type Outcome,
  type PieceRequest,
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
  /** The digest that the agent claims, when that is not the content's. */
  readonly claim?: string;
  /** When its inode last changed, in seconds. */
  readonly ctime?: string;
}

export interface Script {
  readonly files?: readonly ScriptedFile[];
  /** Lines of the listing besides those of the files, before its end. */
  readonly lines?: readonly InventoryLine[];
  /** The limit at which the listing ended. */
  readonly limit?: 'entries' | 'depth' | 'time';
  readonly processes?: readonly Extract<ProcessLine, { type: 'process' }>[];
  /** What is listed in their place, its end included. */
  readonly processLines?: () => AsyncIterable<ListedProcess> | Iterable<ListedProcess>;
  /** What processes run whose executable has no name, by pid. */
  readonly executables?: Readonly<Record<number, string>>;
  readonly instructions?: readonly InstructionName[];
  /** Why nothing may be done to it. */
  readonly suspended?: string;
  /** The type of the one that all files lie on. */
  readonly fileSystem?: string;
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
  /** The known lines that each listing began with. */
  readonly told: (readonly string[])[] = [];
  readonly requests: ContentRequest[] = [];
  /** How many files each request for digests had. */
  readonly claims: number[] = [];
  readonly commands: SealedInstruction[] = [];
  /** How often the processes were listed. */
  processListings = 0;
  private readonly script: Script;
  private readonly features: Features;

  constructor(script: Script, features: Features) {
    this.script = script;
    this.features = features;
  }

  async *listFiles(
    request: InventoryRequest,
    _signal?: AbortSignal,
    known?: KnownLines,
  ): AsyncGenerator<ListedLine> {
    this.listings.push(request);
    this.told.push(known?.digests ?? []);
    for (const line of this.lines()) {
      if (line.type === 'more') continue;
      if (line.type !== 'directory') yield line;
      else {
        const digest = createHash('sha256').update(JSON.stringify(line)).digest('hex').slice(0, 32);
        if (known?.has(digest)) yield { type: 'known', digests: [digest] };
        else yield { ...line, digest };
      }
    }
  }

  private *lines(): Generator<InventoryLine> {
    const { files = [], lines = [], limit } = this.script;
    for (const file of files) {
      const slash = file.path.lastIndexOf('/');
      const { size = file.content?.length ?? 0, ino = inodeOf(file.path), ctime = TIME } = file;
      const entry = [file.path.slice(slash + 1), ino, size, TIME, ctime, 0o100644, 0, 0, 1] as const;
      yield { type: 'directory', path: file.path.slice(0, slash) || '/', dev: DEVICE, files: [[...entry]] };
    }
    yield* lines;
    yield { type: 'end', files: files.length, directories: 1, bytes: 0, ...(limit && { limit }) };
  }

  async *claimDigests({ files }: ContentRequest): AsyncGenerator<UntrustedClaim> {
    this.claims.push(files.length);
    for (const [index, wanted] of files.entries()) {
      const path = 'path' in wanted ? decodeBytes(wanted.path).toString() : '';
      const file = this.script.files?.find((one) => one.path === path);
      if (file?.content === undefined) yield { index, failure: { reason: 'vanished' } };
      else {
        const sha256 = file.claim ?? createHash('sha256').update(file.content).digest('hex');
        yield { index, facts: factsOf(file, file.content), sha256 };
      }
    }
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
      const file =
        'pid' in wanted
          ? { path, content: this.script.executables?.[wanted.pid] }
          : this.script.files?.find((one) => one.path === path);
      yield recordsOf(index, file as ScriptedFile | undefined, request.maxFileBytes);
    }
  }

  async *readPieces({ files }: PieceRequest): AsyncGenerator<ReadPieces> {
    for (const [index, { path, pieces }] of files.entries()) {
      const file = this.script.files?.find((one) => one.path === decodeBytes(path).toString());
      if (file?.content === undefined) yield { type: 'failure', index, failure: { reason: 'vanished' } };
      else {
        const content = Buffer.from(file.content, 'latin1');
        const data = pieces.map(([at, bytes]) => content.subarray(at, at + bytes).toString('base64'));
        yield { type: 'pieces', index, data };
      }
    }
  }

  async *listProcesses(): AsyncGenerator<ListedProcess> {
    this.processListings += 1;
    const { processes = [], processLines } = this.script;
    if (processLines) yield* processLines();
    else {
      yield* processes;
      yield { type: 'end', processes: processes.length };
    }
  }

  async send(sealed: SealedInstruction): Promise<Outcome> {
    this.commands.push(sealed);
    return (await this.script.send?.(sealed)) ?? { code: 'done' };
  }

  readonly queryFeatures = async (): Promise<Features> => this.features;
  readonly stage = (): Promise<never> => Promise.reject(new Error('not scripted'));
  readonly grant = async (): Promise<void> => undefined;
  readonly close = async (): Promise<void> => undefined;
}

/** A guest that is connected by such a session. */
export function connected(
  script: Script,
  id = vm().id,
): ConnectedGuest & { readonly session: ScriptedSession } {
  const { instructions = INSTRUCTION_NAMES, fileSystem = 'ext4' } = script;
  const record = { ...vm(), id, name: id };
  if (!record.features) throw new TypeError('the record has features');
  const own = { ...record.features['x-lazaret'], fileSystems: [{ path: '/', type: fileSystem }] };
  const features = { ...record.features, 'x-lazaret': own };
  return {
    domain: record,
    vm: record,
    session: new ScriptedSession(script, features),
    features,
    instructionSet: { id: 'set', instructions, withheld: [] },
    whySuspended: () => script.suspended,
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
  if (file?.content === undefined) return [json(RECORD.fail, { reason: file?.fault ?? 'vanished' })];
  const { content, fault } = file;
  if (content.length > maxFileBytes) return [json(RECORD.fail, { reason: 'too-large' })];
  const open = json(RECORD.open, factsOf(file, content));
  const half = content.length >> 1;
  const data = [content.slice(0, half), content.slice(half)].map(
    (part): ContentRecord => ({ kind: RECORD.data, index, payload: Buffer.from(part) }),
  );
  if (fault) return [open, ...data.slice(0, 1), json(RECORD.fail, { reason: fault })];
  return [open, ...data, { kind: RECORD.end, index, payload: Buffer.alloc(0) }];
}

function factsOf({ path, ino = inodeOf(path), ctime = TIME }: ScriptedFile, content: string) {
  const times = { mtime: TIME, ctime };
  return { dev: DEVICE, ino, size: content.length, ...times, mode: 0o100644, uid: 0, gid: 0, links: 1 };
}
