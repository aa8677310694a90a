/** One request and its answer: body bounded as it is received, answer written no faster than it is read. */
import { once } from 'node:events';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { encodeLine, LIMITS, ProtocolError, type Refusal, refusalCodes } from '../../protocol/index.ts';
import { RefusedError } from '../error.ts';

const LONGEST_LABEL = 256;

export class Exchange {
  readonly method: string;
  readonly path: string;
  readonly stream: ServerHttp2Stream;
  /** Aborted when the host cancels the request or the session ends. */
  readonly signal: AbortSignal;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.stream = stream;
    this.method = headers[':method'] ?? '';
    this.path = headers[':path'] ?? '';
    const controller = new AbortController();
    this.signal = controller.signal;
    stream.once('close', () => controller.abort());
    // A broken stream is a cancelled request; `close` follows and tells those who work for it.
    stream.on('error', (error) => controller.abort(error));
  }

  /** Whether anybody waits for an answer. */
  private get isOpen(): boolean {
    return !this.stream.destroyed && !this.stream.closed;
  }

  /** The body as it comes. The stream stays open when it ends, for the answer. */
  received(): AsyncIterable<Buffer> {
    return this.stream.iterator({ destroyOnReturn: false });
  }

  /** The whole body. Throws ProtocolError `message-too-large` as soon as it is over the limit. */
  async body(limit: number = LIMITS.messageBytes): Promise<Buffer> {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of this.received()) {
      length += part.length;
      if (length > limit) {
        throw new ProtocolError('message-too-large', `a request has more than ${limit} bytes`);
      }
      parts.push(part);
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  begin(contentType: string): void {
    if (this.isOpen) this.stream.respond({ ':status': 200, 'content-type': contentType });
  }

  /** Resolves when more may be written; rejects when nobody reads any more. */
  async write(bytes: Uint8Array | string): Promise<void> {
    this.signal.throwIfAborted();
    if (!this.stream.write(bytes)) await once(this.stream, 'drain', { signal: this.signal });
  }

  end(bytes?: Uint8Array): void {
    if (this.isOpen) this.stream.end(bytes);
  }

  answerJson(message: unknown, contentType = 'application/json'): void {
    this.begin(contentType);
    this.end(encodeLine(message));
  }

  answerEmpty(): void {
    if (this.isOpen) this.stream.respond({ ':status': 204 }, { endStream: true });
  }

  /** Answers with a refusal, or resets the stream when the answer has begun already. */
  fail(error: unknown): void {
    if (!this.isOpen) return;
    if (this.stream.headersSent) {
      // close() would end the answer first, as if it were whole.
      this.stream.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    const refusal = refusalOf(error);
    this.stream.respond({ ':status': refusalCodes[refusal.code], 'content-type': 'application/json' });
    this.stream.end(encodeLine(refusal));
    // What else the request holds is not waited for.
    this.stream.once('finish', () => this.stream.close(constants.NGHTTP2_NO_ERROR));
  }
}

function refusalOf(error: unknown): Refusal {
  const message = (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_LABEL);
  if (error instanceof RefusedError) return { code: error.code, message };
  if (!(error instanceof ProtocolError)) return { code: 'failed', message };
  return { code: error.code === 'message-too-large' ? 'too-large' : 'bad-request', message };
}
