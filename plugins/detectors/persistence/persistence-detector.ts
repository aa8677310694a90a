import { open } from 'node:fs/promises';
import type {
  Answer,
  Detector,
  EngineIdentity,
  FileFacts,
  FileSubject,
  Prospect,
  Subject,
} from 'lazaret/plugin';
import { isShared, originOf, PLACES, type Place, placeOf } from './places.ts';
import { reportOf } from './report.ts';

/** Files of these formats are some kilobytes; one that is larger is not read, and said to be unscanned. */
const LARGEST = 1024 * 1024;
/** What ends a command. A file of nothing else would take seconds of the host's time. */
const SEPARATOR = /[\n;&|(`]/g;
const MOST_SEPARATORS = 40_000;
/** Shells take a file with NUL in its first line for a program, and do not read it. */
const PROGRAM = /^\x7fELF[^\n]{0,76}\0/;

/** Reads the files that make a guest start something by itself. */
export class PersistenceDetector implements Detector {
  readonly engine: EngineIdentity;
  readonly problems = [];
  readonly concurrency = 1;

  /** Another `version` for every change of what is said of a file. */
  constructor(version: string) {
    this.engine = { name: 'persistence', version, signatures: version, signatureCount: PLACES.length };
  }

  wants(prospect: Prospect): boolean {
    return prospect.kind === 'file' && placeOf(prospect.facts.path) !== undefined;
  }

  /** The path says how a file is read, what `~` stands for, and which unit a timer starts. */
  answerKey({ path }: FileFacts): string {
    return `${this.engine.version}\0${path}`;
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
  const place = placeOf(facts.path);
  if (place === undefined) return { subject: id, detections: [] };
  const bytes = await readBytes(content, Math.min(size, LARGEST)).catch((error: Error) => error);
  if (bytes instanceof Error) return { subject: id, unscanned: 'engine-failed', detail: bytes.message };
  // There is nothing to parse, and other detectors judge it.
  if (place.isRun && PROGRAM.test(bytes)) return { subject: id, detections: [] };
  if (size > LARGEST) return tooMuch(id, place, `has ${size} bytes, which is not read`);
  // Shells and cron pass over NUL.
  const text = bytes.replaceAll('\0', '');
  if (separatorsIn(text) > MOST_SEPARATORS) return tooMuch(id, place, 'has more commands than are read');
  const origin = originOf(facts.path);
  const { format } = place;
  const about = { format, isShared: isShared(place, facts.path), ...origin };
  const { starts, detections, isCut } = reportOf(place.parse(text, origin), about);
  if (isCut && detections.length === 0) return tooMuch(id, place, 'starts more than is kept');
  return { subject: id, detections, ...(starts.length > 0 && { starts }) };
}

function separatorsIn(text: string): number {
  SEPARATOR.lastIndex = 0;
  let count = 0;
  while (count <= MOST_SEPARATORS && SEPARATOR.test(text)) count++;
  return count;
}

const tooMuch = (subject: string, { format }: Place, what: string): Answer => ({
  subject,
  unscanned: 'engine-limit',
  detail: `a ${format} file that ${what}`,
});

/** As Latin-1, which keeps each byte a character: paths need not be UTF-8. */
async function readBytes(path: string, length: number): Promise<string> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafe(length);
  const { bytesRead } = await file.read(buffer, 0, length);
  if (bytesRead < length) throw new Error(`${bytesRead} of ${length} bytes were there`);
  return buffer.toString('latin1');
}
