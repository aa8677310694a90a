import { type FileHandle, open } from 'node:fs/promises';
import type {
  Answer,
  Detector,
  EngineIdentity,
  FileFacts,
  FileSubject,
  Prospect,
  Subject,
} from 'lazaret/plugin';
import { type Pieces, readElf, SMALLEST } from './elf.ts';
import { detectionsFor, isStraySetuid, REASONS } from './reasons.ts';

const EXECUTABLE = 0o111;

/** Looks at the headers of programs. */
export class ElfFactsDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems = [];
  readonly concurrency = 1;

  /** Another `version` for every change of what is said of a file. */
  constructor(version: string) {
    this.engine = { name: 'elf-facts', version, signatures: version, signatureCount: REASONS };
  }

  /**
   * Executable files alone: in a guest those are some thousand, and the kernel starts no others. Of a program that
   * runs without a name neither mode nor size is known.
   */
  wants(prospect: Prospect): boolean {
    if (prospect.kind !== 'file') return false;
    const { mode, size } = prospect.facts;
    return mode === 0 || ((mode & EXECUTABLE) !== 0 && size >= SMALLEST);
  }

  answerKey(facts: FileFacts): string {
    return `${this.engine.version}\0${isStraySetuid(facts) ? 'setuid' : ''}`;
  }

  async *detect(subjects: readonly Subject[], signal: AbortSignal): AsyncGenerator<Answer> {
    for (const subject of subjects) {
      if (signal.aborted) yield { subject: subject.id, unscanned: 'cancelled' };
      else if (subject.kind === 'file') yield await answerFor(subject);
      else yield { subject: subject.id, detections: [] };
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function answerFor({ id, content, size, facts }: FileSubject): Promise<Answer> {
  try {
    await using file = await open(content);
    const elf = await readElf(piecesOf(file, size));
    return { subject: id, detections: elf ? detectionsFor(elf, facts) : [] };
  } catch (error) {
    return { subject: id, unscanned: 'engine-failed', detail: (error as Error).message };
  }
}

const piecesOf = (file: FileHandle, size: number): Pieces => ({
  size,
  async read(offset, length) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  },
});
