import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import {
  type ContentRecord,
  type ContentRequest,
  DigestLine,
  encodeCommand,
  encodeFeatureQuery,
  type Features,
  FeaturesResponse,
  type Grant,
  type InventoryRequest,
  LIMITS,
  type LoginRequest,
  OPENC2_CONTENT_TYPE,
  type Outcome,
  OutcomeResponse,
  type PieceRequest,
  ProcessLine,
  ProtocolError,
  parseMessage,
  ROUTES,
  type SealedInstruction,
} from '../../protocol/index.ts';
import { ContentReader } from './content.ts';
import type { ChannelError } from './error.ts';
import type { Exchange } from './exchange.ts';
import { answerLines } from './lines.ts';
import type { Link } from './link.ts';
import { listFiles } from './listing.ts';
import { readPieces } from './pieces.ts';
import type {
  Admission,
  GuestSession,
  KnownLines,
  ListedLine,
  ReadPieces,
  UntrustedClaim,
} from './session.ts';

const JSON_TYPE = 'application/json';

/** An accepted session over one link. */
export class Session implements GuestSession {
  readonly id: string;
  readonly epoch: number;
  readonly login: LoginRequest;
  readonly ended: Promise<ChannelError | undefined>;
  private readonly link: Link;

  constructor(link: Link, login: LoginRequest, { session, epoch }: Admission) {
    this.link = link;
    this.login = login;
    this.id = session;
    this.epoch = epoch;
    this.ended = link.ended;
  }

  async queryFeatures(signal?: AbortSignal): Promise<Features> {
    const requestId = randomUUID();
    return this.command(encodeFeatureQuery(requestId), requestId, FeaturesResponse, signal);
  }

  async send(sealed: SealedInstruction, signal?: AbortSignal): Promise<Outcome> {
    const results = await this.command(encodeCommand(sealed), sealed.id, OutcomeResponse, signal);
    return results['x-lazaret'];
  }

  async grant(grant: Grant, signal?: AbortSignal): Promise<void> {
    const exchange = await this.ask(ROUTES.grant, JSON_TYPE, grant, signal);
    try {
      await exchange.answered(204, this.link.deadlines.command);
    } finally {
      exchange.abandon();
    }
  }

  listFiles(request: InventoryRequest, signal?: AbortSignal, known?: KnownLines): AsyncGenerator<ListedLine> {
    return listFiles(this.link, request, signal, known);
  }

  async *listProcesses(signal?: AbortSignal): AsyncGenerator<ProcessLine> {
    let lines = 0;
    const exchange = await this.link.begin({ method: 'POST', path: ROUTES.processes }, signal);
    const take = (untrusted: Buffer): ProcessLine => {
      if (++lines > LIMITS.processes + 1) {
        throw new ProtocolError('message-too-large', `more than ${LIMITS.processes} processes`);
      }
      return parseMessage(ProcessLine, untrusted);
    };
    yield* answerLines(exchange, this.link.deadlines.streamIdle, take, isEnd);
  }

  async *claimDigests(request: ContentRequest, signal?: AbortSignal): AsyncGenerator<UntrustedClaim> {
    let next = 0;
    const exchange = await this.ask(ROUTES.digests, JSON_TYPE, request, signal);
    const take = (untrusted: Buffer): DigestLine => {
      const line = parseMessage(DigestLine, untrusted);
      if ('index' in line && (line.index !== next++ || line.index >= request.files.length)) {
        throw new ProtocolError('record-out-of-turn', `digests: file ${line.index}`);
      }
      return line;
    };
    for await (const line of answerLines(exchange, this.link.deadlines.streamIdle, take, isEnd)) {
      if ('index' in line) yield line;
    }
    if (next !== request.files.length) throw this.link.violated('digests of files are missing');
  }

  readPieces(request: PieceRequest, signal?: AbortSignal): AsyncGenerator<ReadPieces> {
    return readPieces(this.link, request, signal);
  }

  async *readContent(
    request: ContentRequest,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly ContentRecord[]> {
    const reader = new ContentReader(request);
    const { streamIdle } = this.link.deadlines;
    const exchange = await this.ask(ROUTES.content, JSON_TYPE, request, signal);
    try {
      await exchange.answered(200, streamIdle);
      for (;;) {
        const chunks = await exchange.next(streamIdle);
        if (!chunks) break;
        for (const chunk of chunks) {
          const records = exchange.guard(() => reader.read(chunk));
          if (records.length > 0) yield records;
        }
      }
      if (!exchange.guard(() => reader.isComplete())) throw exchange.violate('content of files is missing');
    } finally {
      exchange.abandon();
    }
  }

  async stage(sha256: string, content: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const { streamIdle, command } = this.link.deadlines;
    const path = `${ROUTES.staged}${sha256}`;
    const request = { method: 'PUT', path, contentType: 'application/octet-stream' } as const;
    const exchange = await this.link.begin(request, signal);
    try {
      for await (const bytes of content) {
        if (!(await exchange.write(bytes, streamIdle))) break;
      }
      exchange.finish();
      await exchange.answered(204, command);
    } finally {
      exchange.abandon();
    }
  }

  close(): Promise<void> {
    return this.link.close();
  }

  private async ask(
    path: string,
    contentType: string,
    message: unknown,
    signal: AbortSignal | undefined,
  ): Promise<Exchange> {
    const exchange = await this.link.begin({ method: 'POST', path, contentType }, signal);
    exchange.finish(Buffer.from(JSON.stringify(message), 'utf8'));
    return exchange;
  }

  /** Sends an OpenC2 command and returns the results of its response. */
  private async command<Results>(
    message: unknown,
    requestId: string,
    schema: z.ZodType<OpenC2Response<Results>>,
    signal: AbortSignal | undefined,
  ): Promise<Results> {
    const within = this.link.deadlines.command;
    const exchange = await this.ask(ROUTES.openc2, OPENC2_CONTENT_TYPE, message, signal);
    try {
      await exchange.answered(200, within);
      const untrusted = await exchange.readAll(within);
      const { headers, body } = exchange.guard(() => parseMessage(schema, untrusted));
      if (headers.request_id !== requestId) throw exchange.violate('it answers what was not asked');
      return body.openc2.response.results;
    } finally {
      exchange.abandon();
    }
  }
}

interface OpenC2Response<Results> {
  headers: { request_id: string };
  body: { openc2: { response: { results: Results } } };
}

const isEnd = ({ type }: { readonly type: string }): boolean => type === 'end';
