import { open } from 'node:fs/promises';
import { judge } from './packed.js';

/** What `wants.maxSize` in package.json says as well: more is not even sent here. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Raise it whenever an answer can change: kept answers are then asked for again. */
const RULES = '1';

/**
 * @param {string} version
 * @param {import('./options.js').Options} options
 * @returns {import('lazaret/plugin').Detector}
 */
export function openDetector(version, options) {
  return {
    engine: { name: 'entropy', version, signatures: RULES, signatureCount: 1 },
    problems: [],
    concurrency: 1,
    wants: (prospect) => prospect.kind === 'file',
    async *detect(subjects, signal) {
      for (const subject of subjects) {
        if (signal.aborted) return;
        if (subject.kind === 'file') yield await answerFor(subject, options);
      }
    },
    close: async () => undefined,
  };
}

/**
 * Whatever goes wrong is `unscanned`: a file that nobody looked at is not clean.
 *
 * @param {import('lazaret/plugin').FileSubject} subject
 * @param {import('./options.js').Options} options
 * @returns {Promise<import('lazaret/plugin').Answer>}
 */
async function answerFor({ id, content }, options) {
  try {
    const file = await readProgram(content);
    const judged = file === undefined ? { detections: [] } : judge(file, options);
    if ('detections' in judged) return { subject: id, detections: judged.detections };
    return { subject: id, unscanned: 'engine-limit', detail: judged.limit };
  } catch (error) {
    return {
      subject: id,
      unscanned: 'io-error',
      detail: error instanceof Error ? error.message : String(error),
    };
  }
}

/**
 * The file, undefined when its first bytes are not those of a program.
 *
 * @param {string} path
 */
async function readProgram(path) {
  await using file = await open(path);
  const { size } = await file.stat();
  if (size > MAX_BYTES) throw new Error(`it has more than ${MAX_BYTES} bytes`);
  const head = Buffer.alloc(4);
  await file.read(head, 0, head.length, 0);
  if (head.toString('latin1', 1) !== 'ELF' && head.toString('latin1', 0, 2) !== 'MZ') return undefined;
  const content = Buffer.alloc(size);
  const { bytesRead } = await file.read(content, 0, size, 0);
  return content.subarray(0, bytesRead);
}
