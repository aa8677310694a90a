import {
  ALLOWANCE,
  ContentFailure,
  type ContentRecord,
  type ContentRequest,
  explain,
  FileFacts,
  ProtocolError,
  parseBounded,
  parseMessage,
  RECORD,
  RecordSplitter,
} from '../../protocol/index.ts';

const DETAIL = 256;

/**
 * Holds a content stream to the order and the sizes that `protocol/records.ts` prescribes. A file of which the guest
 * says what cannot be fails, and the others go on.
 */
export class ContentReader {
  private readonly splitter = new RecordSplitter();
  private readonly files: number;
  private readonly maxFileBytes: number;
  private index = 0;
  private open = false;
  /** Bytes that DATA of the open file may still have. */
  private left = 0;
  /** Why nothing of the open file is passed on. */
  private misfit: string | undefined;
  private bytes = 0;
  private dataRecords = 0;

  constructor({ files, maxFileBytes }: ContentRequest) {
    this.files = files.length;
    this.maxFileBytes = maxFileBytes;
  }

  /** The records that a chunk completes; their payloads hold until the next call. Throws ProtocolError. */
  read(chunk: Buffer): ContentRecord[] {
    const records: ContentRecord[] = [];
    for (const record of this.splitter.push(chunk)) {
      this.check(record);
      const passed = this.misfit === undefined ? record : this.failed(record, this.misfit);
      if (passed) records.push(passed);
    }
    return records;
  }

  /** Whether the stream may end here: every file was answered for. Throws ProtocolError within a record. */
  isComplete(): boolean {
    this.splitter.end();
    return this.index === this.files;
  }

  private check({ kind, index, payload }: ContentRecord): void {
    if (index !== this.index || index >= this.files) throw outOfTurn(`file ${index}`);
    if (kind === RECORD.fail) {
      parseMessage(ContentFailure, payload);
      this.finishFile();
    } else if (kind === RECORD.open) {
      if (this.open) throw outOfTurn('OPEN of an open file');
      this.openFile(parseBounded(payload));
    } else if (!this.open) throw outOfTurn('DATA or END of a file that is not open');
    else if (kind === RECORD.data) this.countData(payload.length);
    else if (payload.length > 0) throw new ProtocolError('malformed-record', 'END has a payload');
    else if (this.left > 0 && this.misfit === undefined)
      throw outOfTurn('END before all bytes of the file came');
    else this.finishFile();
  }

  private openFile(untrusted: unknown): void {
    const facts = FileFacts.safeParse(untrusted);
    this.open = true;
    this.misfit = facts.success ? undefined : explain(facts.error);
    this.left = facts.success ? facts.data.size : this.maxFileBytes;
    if (this.left > this.maxFileBytes) throw outOfTurn('OPEN of a file that is too large');
  }

  private countData(length: number): void {
    this.left -= length;
    this.bytes += length;
    this.dataRecords++;
    if (this.left < 0) throw outOfTurn('more bytes than the file has');
    const allowed = this.files * ALLOWANCE.recordsPerFile + this.bytes / ALLOWANCE.bytesPerRecord;
    if (this.dataRecords > allowed) throw outOfTurn('a flood of tiny records');
  }

  private finishFile(): void {
    this.open = false;
    this.index++;
  }

  /** What is passed on of a file that does not fit: at its end, that it failed. */
  private failed({ kind, index }: ContentRecord, what: string): ContentRecord | undefined {
    if (kind === RECORD.open || kind === RECORD.data) return undefined;
    this.misfit = undefined;
    const detail = `the guest says of it what cannot be: ${what}`.slice(0, DETAIL);
    const failure: ContentFailure = { reason: 'unreadable', detail };
    return { kind: RECORD.fail, index, payload: Buffer.from(JSON.stringify(failure)) };
  }
}

const outOfTurn = (what: string) => new ProtocolError('record-out-of-turn', `content: ${what}`);
