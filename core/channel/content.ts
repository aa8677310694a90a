import {
  ALLOWANCE,
  ContentFailure,
  type ContentRecord,
  type ContentRequest,
  FileFacts,
  ProtocolError,
  parseMessage,
  RECORD,
  RecordSplitter,
} from '../../protocol/index.ts';

/** Holds a content stream to the order and the sizes that `protocol/records.ts` prescribes. */
export class ContentReader {
  private readonly splitter = new RecordSplitter();
  private readonly files: number;
  private readonly maxFileBytes: number;
  private index = 0;
  private open = false;
  /** Bytes that DATA of the open file may still have. */
  private left = 0;
  private bytes = 0;
  private dataRecords = 0;

  constructor({ files, maxFileBytes }: ContentRequest) {
    this.files = files.length;
    this.maxFileBytes = maxFileBytes;
  }

  /** The records that a chunk completes; their payloads hold until the next call. Throws ProtocolError. */
  read(chunk: Buffer): ContentRecord[] {
    const records = Array.from(this.splitter.push(chunk));
    for (const record of records) this.check(record);
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
      this.left = parseMessage(FileFacts, payload).size;
      if (this.left > this.maxFileBytes) throw outOfTurn('OPEN of a file that is too large');
      this.open = true;
    } else if (!this.open) throw outOfTurn('DATA or END of a file that is not open');
    else if (kind === RECORD.data) this.countData(payload.length);
    else if (payload.length > 0) throw new ProtocolError('malformed-record', 'END has a payload');
    else if (this.left > 0) throw outOfTurn('END before all bytes of the file came');
    else this.finishFile();
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
}

const outOfTurn = (what: string) => new ProtocolError('record-out-of-turn', `content: ${what}`);
