/**
 * What is never removed, stopped or moved, whatever was found in it (invariant I): that which a guest needs to
 * boot, to be logged into and to be reached by us. A finding in it is reported and nothing else.
 *
 * A file is protected by its path (`protected.ts`) and, once the survey of the guest came upon it, by its inode:
 * another name of the same file (a hard link in /tmp, a path through a symbolic link) is the same file, and what
 * protected programs are linked with is known by inode alone. Where the survey could not learn all of them, nothing
 * is done to any file, for each could be one of them.
 */
import {
  decodeBytes,
  type FileTarget,
  type GuestPath,
  type Instruction,
  type ProcessLine,
  type ProcessTarget,
  type WireBytes,
} from '../../protocol/index.ts';
import { PROTECTED, type ProtectedKind } from './protected.ts';

/** Inodes that are remembered of one guest: as many as forty kernels have modules. */
export const MOST_INODES = 262_144;
/** Paths of them that the list by itself does not have. */
const MOST_PATHS = 8192;
const TOO_MANY = 'withheld: the protected places of this guest are too many to know';

/** The list for one guest, which learns from that guest's inventory. */
export class NeverTouch {
  private readonly operatorPaths: readonly string[];
  private readonly inodes = new Map<string, string>();
  private readonly paths = new Map<string, string>();
  private readonly processes = new Map<string, string>();
  private knowsAll = true;

  /** `operatorPaths`: files, and directories with all below them, that the operator protects besides. */
  constructor(operatorPaths: readonly GuestPath[] = []) {
    this.operatorPaths = operatorPaths.map((path) => comparable(path.bytes));
  }

  /** Learns a file by its path; gives why it is protected, if it is. */
  observe(path: GuestPath, dev: string, ino: string): Pick<ProtectedKind, 'what' | 'isLinked'> | undefined {
    const kind = this.kindAt(path.bytes);
    if (kind) this.protect(dev, ino, kind.what);
    return kind;
  }

  /** Learns a file that is protected whatever its path; `what` it is, as a noun. */
  protect(dev: string, ino: string, what: string): void {
    const key = inodeKey(dev, ino);
    if (this.isFull && !this.inodes.has(key)) this.knowsAll = false;
    else this.inodes.set(key, what);
  }

  /** The same by its path: some file systems (overlayfs) tell another device of a file than of its directory. */
  protectPath(path: GuestPath, what: string): void {
    if (this.kindAt(path.bytes)) return;
    if (this.paths.size >= MOST_PATHS) this.knowsAll = false;
    else this.paths.set(comparable(path.bytes), what);
  }

  /** Whether a file at this path would be protected. */
  kindAt(path: Buffer): Pick<ProtectedKind, 'what' | 'isLinked'> | undefined {
    const name = comparable(path);
    const kind = PROTECTED.find(({ pattern }) => pattern.test(name));
    if (kind) return kind;
    const isOperators = (own: string) => name === own || name.startsWith(own === '/' ? own : `${own}/`);
    if (this.operatorPaths.some(isOperators)) return OPERATORS;
    const learnt = this.paths.get(name);
    return learnt === undefined ? undefined : { what: learnt, isLinked: false };
  }

  /** Whether there is room for more. */
  get isFull(): boolean {
    return this.inodes.size >= MOST_INODES;
  }

  /** There are protected files that could not be learnt: from now on every file may be one of them. */
  missSome(): void {
    this.knowsAll = false;
  }

  /**
   * Learns a process that runs what is protected. Its path counts where the guest's own namespace has it there, or had
   * it before an update took it away; what else a process may be made to show is worth nothing, and no path of a process
   * makes a file protected: of files the listing tells.
   */
  observeProcess({ pid, start, executable }: Extract<ProcessLine, { type: 'process' }>): void {
    if (!executable?.placed || executable.inMemory) return;
    const what = this.whatIsAt(decodeBytes(executable.path));
    if (what !== undefined) this.processes.set(processKey(pid, start), what);
  }

  /** Why an instruction must not be given, or undefined when it may. */
  reason(instruction: Instruction): string | undefined {
    switch (instruction.name) {
      case 'stop:process':
        return this.processReason(instruction.target);
      case 'contain:file':
      case 'delete:file':
        return this.fileReason(instruction.target);
      case 'update:file':
        // A new content in its place is what patches are for; nothing in its place is a removal.
        return instruction.target.content === null ? this.pathReason(instruction.target.path) : undefined;
      case 'restore:file':
        return undefined;
    }
  }

  fileReason({ path, dev, ino }: FileTarget): string | undefined {
    return this.pathReason(path) ?? this.inodeReason('file', dev, ino);
  }

  processReason({ pid, start, executable }: ProcessTarget): string | undefined {
    if (pid === 1) return sentence('process', 'the first one of the guest (pid 1)');
    if (executable.ino === '0') return sentence('process', 'a kernel thread');
    const thread = sentence('process', this.processes.get(processKey(pid, start)));
    return thread ?? this.inodeReason('process', executable.dev, executable.ino);
  }

  private inodeReason(kind: 'file' | 'process', dev: string, ino: string): string | undefined {
    const reason = sentence(kind, this.inodes.get(inodeKey(dev, ino)));
    return reason ?? (this.knowsAll ? undefined : TOO_MANY);
  }

  private pathReason(path: WireBytes): string | undefined {
    return sentence('file', this.whatIsAt(decodeBytes(path)));
  }

  private whatIsAt(path: Buffer): string | undefined {
    return this.kindAt(path)?.what;
  }
}

const OPERATORS = { what: 'protected by the operator', isLinked: false };

/** One character a byte; slashes single; without the /usr that distributions merged. */
function comparable(path: Buffer): string {
  const name = path.toString('latin1').replace(/\/{2,}/g, '/');
  const trimmed = name.length > 1 && name.endsWith('/') ? name.slice(0, -1) : name;
  return trimmed.replace(/^\/usr(?=\/(s?bin|lib[^/]*)(\/|$))/, '');
}

const inodeKey = (dev: string, ino: string): string => `${dev}:${ino}`;
const processKey = (pid: number, start: string): string => `${pid}@${start}`;

const sentence = (kind: 'file' | 'process', what: string | undefined): string | undefined =>
  what === undefined ? undefined : `this ${kind} is never touched: it is ${what}`;
