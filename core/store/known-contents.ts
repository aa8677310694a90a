/**
 * What is kept of contents that were judged: enough to ask a detector that reads digests again, and which
 * answers about them were clean. An answer is named by a digest of its detector and its answer key, so what
 * is kept says nothing about any other signatures.
 *
 * The table is bounded. Rows lie in the order of their use: whatever is used gets a new id, at most once a
 * day, and the lowest ids go first. That costs no index and no count over the table.
 */
import { z } from 'zod';
import type { ContentSummary } from '../api/index.ts';
import type { StateDatabase } from './database.ts';
import { RecordTable } from './rows.ts';

/** A content, with the answers that were clean: 32 hex digits each. */
export interface KnownContent extends ContentSummary {
  readonly answers: ReadonlySet<string>;
}

const DAY = 86_400_000;
const ANSWER_BYTES = 16;
/** Answers kept of one content, the newest: a key that depends on a file's name gives one for each name. */
const ANSWERS = 32;
/** Rows removed beyond what has to go, so that not every write removes some. */
const EVICTED_AT_ONCE = 256;

const blob = z.instanceof(Uint8Array).transform((bytes) => Buffer.from(bytes));
const ContentRow = z.object({
  sha256: blob,
  size: z.int().min(0),
  head: blob,
  sha1: blob.exactOptional(),
  md5: blob.exactOptional(),
  answers: blob,
  usedOn: z.int(),
});
type ContentRow = z.output<typeof ContentRow>;
/** One that cannot be read is as if the content had never been judged: it is fetched, and written anew. */
const CONTENTS = new RecordTable<ContentRow>('knownContents', ContentRow, ['sha256']);

/** Contents with their clean answers. Every method throws StoreError. */
export class KnownContentStore {
  private readonly database: StateDatabase;
  private readonly most: number;
  private readonly clock: () => number;
  /** Read since the last write, and not used today before that. */
  private readonly used = new Set<string>();

  /** Keeps at most about `most` contents. `clock` gives milliseconds since 1970. */
  constructor(database: StateDatabase, most: number, clock: () => number = Date.now) {
    this.database = database;
    this.most = most;
    this.clock = clock;
  }

  get isEmpty(): boolean {
    return this.count() === 0;
  }

  /** Those of the contents, by SHA-256 in lower-case hex, that are kept. */
  find(sha256s: readonly string[]): Map<string, KnownContent> {
    const found = new Map<string, KnownContent>();
    if (sha256s.length === 0) return found;
    const rows = this.database.all(
      `SELECT sha256, size, head, sha1, md5, answers, usedOn
       FROM json_each(:list) JOIN knownContents ON sha256 = unhex(value)`,
      { list: JSON.stringify(sha256s) },
    );
    const today = this.today();
    for (const { content, usedOn } of CONTENTS.readable(this.database, rows).map(knownOf)) {
      found.set(content.digests.sha256, content);
      if (usedOn !== today) this.used.add(content.digests.sha256);
    }
    return found;
  }

  /** Adds contents, and clean answers to those that are kept already; then removes what is too much. */
  save(contents: Iterable<KnownContent>): void {
    this.database.transaction(() => {
      const written = Array.from(contents);
      const kept = this.find(written.map(({ digests }) => digests.sha256));
      for (const content of written) this.write(content, kept.get(content.digests.sha256));
      for (const sha256 of this.used) this.touch(sha256);
      this.used.clear();
      this.add(written.length - kept.size);
      this.evict();
    });
  }

  private write({ digests, size, head, answers }: KnownContent, kept: KnownContent | undefined): void {
    this.database.run(
      `INSERT INTO knownContents (sha256, size, head, sha1, md5, answers, usedOn)
       VALUES (:sha256, :size, :head, :sha1, :md5, :answers, :usedOn)
       ON CONFLICT (sha256) DO UPDATE SET answers = excluded.answers, size = excluded.size, head = excluded.head,
         sha1 = coalesce(excluded.sha1, sha1), md5 = coalesce(excluded.md5, md5)`,
      CONTENTS.checked({
        sha256: Buffer.from(digests.sha256, 'hex'),
        size,
        head,
        sha1: hexOrNull(digests.sha1),
        md5: hexOrNull(digests.md5),
        answers: joined(kept ? answers.union(kept.answers) : answers),
        usedOn: this.today(),
      }),
    );
  }

  private touch(sha256: string): void {
    this.database.run(
      `UPDATE knownContents SET usedOn = :today, id = (SELECT max(id) + 1 FROM knownContents)
       WHERE sha256 = :sha256`,
      { sha256: Buffer.from(sha256, 'hex'), today: this.today() },
    );
  }

  private evict(): void {
    const excess = this.count() - this.most;
    if (excess <= 0) return;
    const removed = this.database.run(
      'DELETE FROM knownContents WHERE id IN (SELECT id FROM knownContents ORDER BY id LIMIT :count)',
      { count: excess + Math.min(EVICTED_AT_ONCE, Math.floor(this.most / 8)) },
    );
    this.add(-removed);
  }

  private count(): number {
    return Number(this.database.get('SELECT contents FROM knownContentCount')?.contents);
  }

  private add(contents: number): void {
    if (contents === 0) return;
    this.database.run('UPDATE knownContentCount SET contents = contents + :contents', { contents });
  }

  private today(): number {
    return Math.floor(this.clock() / DAY);
  }
}

function knownOf(row: ContentRow): { content: KnownContent; usedOn: number } {
  const { sha256, size, head, sha1, md5, answers, usedOn } = row;
  const digests = {
    sha256: sha256.toString('hex'),
    ...(sha1 && { sha1: sha1.toString('hex') }),
    ...(md5 && { md5: md5.toString('hex') }),
  };
  return { content: { size, head, digests, answers: split(answers) }, usedOn };
}

function split(answers: Buffer): ReadonlySet<string> {
  const ids = new Set<string>();
  for (let at = 0; at < answers.length; at += ANSWER_BYTES) {
    ids.add(answers.toString('hex', at, at + ANSWER_BYTES));
  }
  return ids;
}

const joined = (answers: ReadonlySet<string>): Buffer =>
  Buffer.from(Array.from(answers).slice(0, ANSWERS).join(''), 'hex');

const hexOrNull = (hex: string | undefined): Buffer | null =>
  hex === undefined ? null : Buffer.from(hex, 'hex');
