import { z } from 'zod';
import { sha256, wireBytes } from '../../protocol/index.ts';
import type { Judgement } from '../api/index.ts';
import { StoreError } from '../error.ts';
import type { Parameters, StateDatabase } from './database.ts';
import { type Page, type PageQuery, readPage } from './page.ts';
import { type FindingRecord, RESPONSES, type ScanSummary } from './records.ts';
import { jsonColumn, RecordTable, timeColumn } from './rows.ts';

const SubjectColumn = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('file'),
    path: wireBytes,
    sha256,
    size: z.int().min(0),
    names: z.object({ all: z.int().min(0), found: z.int().min(0).exactOptional() }).exactOptional(),
  }),
  z.object({
    kind: z.literal('process'),
    pid: z.int(),
    start: z.string(),
    uid: z.int(),
    name: wireBytes,
    executable: wireBytes,
    namespace: z.literal('foreign').exactOptional(),
    container: z.object({ runtime: z.string(), id: z.string() }).exactOptional(),
  }),
]);

const judgement = z.enum(['malicious', 'suspicious']);

const DetectionColumn = z.object({
  detector: z.string(),
  judgement,
  name: z.string(),
  source: z.string().exactOptional(),
  description: z.string().exactOptional(),
  attack: z.array(z.string()).exactOptional(),
});

const FindingRow = z.object({
  id: z.string(),
  vm: z.string(),
  scan: z.string(),
  firstSeen: timeColumn,
  lastSeen: timeColumn,
  judgement,
  subject: jsonColumn(SubjectColumn),
  detections: jsonColumn(z.array(DetectionColumn)),
  response: z.enum(RESPONSES),
  reason: z.string().exactOptional(),
});

export const FINDINGS = new RecordTable<FindingRecord>('findings', FindingRow);
const PAGES = { table: FINDINGS, time: 'lastSeen' } as const;

export interface FindingFilter {
  readonly vm?: string;
  readonly scan?: string;
  readonly judgement?: Judgement;
}

/** Of one guest: it decides how much there is to be found in it, and rows are never taken out. */
export const MOST_FINDINGS_OF_VM = 200_000;

/** What was found. Every method throws StoreError. */
export class FindingStore {
  private readonly database: StateDatabase;
  private readonly mostOfVm: number;

  constructor(database: StateDatabase, mostOfVm = MOST_FINDINGS_OF_VM) {
    this.database = database;
    this.mostOfVm = mostOfVm;
  }

  /** Adds a finding, or renews the one with the same id, which keeps the time it was first seen. Gives what is kept. */
  upsert(record: FindingRecord): FindingRecord {
    const row = this.database.get(
      `INSERT INTO findings
         (id, vm, scan, firstSeen, lastSeen, judgement, subject, detections, response, reason)
       VALUES
         (:id, :vm, :scan, :firstSeen, :lastSeen, :judgement, :subject, :detections, :response, :reason)
       ON CONFLICT (id) DO UPDATE SET
         scan = excluded.scan, lastSeen = excluded.lastSeen, judgement = excluded.judgement,
         subject = excluded.subject, detections = excluded.detections,
         response = excluded.response, reason = excluded.reason
       RETURNING *`,
      FINDINGS.checked({
        ...record,
        subject: JSON.stringify(record.subject),
        detections: JSON.stringify(record.detections),
        reason: record.reason ?? null,
      }),
    );
    if (!row) throw new StoreError('write-failed', `the finding ${record.id} was not kept`);
    return FINDINGS.read(row);
  }

  /** The same for many of one guest, all or none. `write-failed` where it has as many as are kept; known ones are renewed. */
  upsertAll(records: readonly FindingRecord[]): FindingRecord[] {
    return this.database.transaction(() => {
      const kept = records.map((record) => this.upsert(record));
      const vm = records[0]?.vm;
      const isNew = kept.some(({ firstSeen, lastSeen }) => firstSeen === lastSeen);
      if (vm !== undefined && isNew && this.countOfVm(vm) > this.mostOfVm) throw this.full(vm);
      return kept;
    });
  }

  private countOfVm(vm: string): number {
    return Number(
      this.database.get('SELECT count(*) AS findings FROM findings WHERE vm = :vm', { vm })?.findings,
    );
  }

  private full(vm: string): StoreError {
    return new StoreError(
      'write-failed',
      `the database keeps ${this.mostOfVm} findings of one VM and has them of ${vm}: look at lazaret findings --vm, and make that guest anew`,
    );
  }

  /** As `setResponse`, for many that nothing was done about, in one write to the disk. */
  reportAll(
    reports: readonly { readonly id: string; readonly reason: string | undefined }[],
  ): FindingRecord[] {
    return this.database.transaction(() =>
      reports.map(({ id, reason }) => this.setResponse(id, 'reported', reason)),
    );
  }

  /** Says what was done about a finding, or why nothing was; gives what is kept. StoreError `not-found`. */
  setResponse(id: string, response: FindingRecord['response'], reason?: string): FindingRecord {
    return this.database.transaction(() => {
      const row = this.database.get('SELECT * FROM findings WHERE id = :id', { id });
      if (!row) throw new StoreError('not-found', `there is no finding with the id ${id}`);
      const columns = { response, reason: reason ?? null };
      FINDINGS.checked({ ...row, ...columns } as Parameters);
      this.database.run('UPDATE findings SET response = :response, reason = :reason WHERE id = :id', {
        id,
        ...columns,
      });
      return FINDINGS.read({ ...row, ...columns });
    });
  }

  /** How many a scan came to: a subject that it met twice, or that is gone by now, is one. `failed`: see ScanSummary. */
  countOf(scan: string): Pick<ScanSummary, 'malicious' | 'suspicious' | 'failed'> {
    const rows = this.database.all(
      `SELECT judgement, count(*) AS findings, sum(response IN ('failed', 'unknown')) AS failed
       FROM findings WHERE scan = :scan GROUP BY judgement`,
      { scan },
    );
    const of = (judgement: string) => Number(rows.find((row) => row.judgement === judgement)?.findings ?? 0);
    const failed = rows.reduce((sum, row) => sum + Number(row.failed), 0);
    return { malicious: of('malicious'), suspicious: of('suspicious'), ...(failed > 0 && { failed }) };
  }

  /** Whether malware of this scan still runs: it was found in a process that was not stopped. */
  hasRunning(scan: string): boolean {
    const row = this.database.get(
      `SELECT 1 FROM findings WHERE scan = :scan AND judgement = 'malicious'
         AND response IN ('reported', 'failed', 'unknown')
         AND CASE WHEN json_valid(subject) THEN subject ->> '$.kind' = 'process' END LIMIT 1`,
      { scan },
    );
    return row !== undefined;
  }

  find(id: string): FindingRecord | undefined {
    const row = this.database.get('SELECT * FROM findings WHERE id = :id', { id });
    return row && FINDINGS.read(row);
  }

  /** Last seen first. */
  page(filter: FindingFilter, query: PageQuery): Page<FindingRecord> {
    return readPage(this.database, PAGES, { ...filter }, query);
  }

  /** Last seen first. */
  list(filter: FindingFilter = {}): FindingRecord[] {
    const rows = this.database.all(
      `SELECT * FROM findings
       WHERE (:vm IS NULL OR vm = :vm)
         AND (:scan IS NULL OR scan = :scan)
         AND (:judgement IS NULL OR judgement = :judgement)
       ORDER BY lastSeen DESC, id`,
      { vm: filter.vm ?? null, scan: filter.scan ?? null, judgement: filter.judgement ?? null },
    );
    return FINDINGS.readable(this.database, rows);
  }
}
