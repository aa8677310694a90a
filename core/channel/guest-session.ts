import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import {
  AnyResponse,
  type ContentFailure,
  type ContentRecord,
  type ContentRequest,
  DigestLine,
  encodeCommand,
  encodeFeatureQuery,
  type Features,
  FeaturesResponse,
  type Grant,
  type InventoryRequest,
  type LoginRequest,
  OPENC2_CONTENT_TYPE,
  type Outcome,
  type PieceRequest,
  ProtocolError,
  parseMessage,
  ROUTES,
  type SealedInstruction,
  sha256,
} from '../../protocol/index.ts';
import { ContentReader } from './content.ts';
import type { ChannelError } from './error.ts';
import type { Exchange } from './exchange.ts';
import { answerLines } from './lines.ts';
import type { Link } from './link.ts';
import { listFiles } from './listing.ts';
import { readOutcome } from './outcome.ts';
import { readPieces } from './pieces.ts';
import { ProcessList } from './process-list.ts';
import type {
  Admission,
  GuestSession,
  KnownLines,
  ListedLine,
  ListedProcess,
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
    const query = encodeFeatureQuery(requestId);
    const { status, results } = await this.command(query, requestId, FeaturesResponse, signal);
    if (status !== 200) throw this.link.violated(`it answers query features with the status ${status}`);
    return results;
  }

  async send(sealed: SealedInstruction, signal?: AbortSignal): Promise<Outcome> {
    const command = encodeCommand(sealed);
    const { status, results } = await this.command(command, sealed.id, AnyResponse, signal);
    return readOutcome(sealed, status, results);
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

  async *listProcesses(signal?: AbortSignal): AsyncGenerator<ListedProcess> {
    const list = new ProcessList();
    const take = (untrusted: Buffer) => list.take(untrusted);
    for (let isLast = false; !isLast; ) {
      const exchange = await this.ask(ROUTES.processes, JSON_TYPE, list.request, signal);
      for await (const line of answerLines(exchange, this.link.deadlines.streamIdle, take, endsPage)) {
        if (this.link.failure) throw this.link.failure;
        isLast = line.type !== 'more';
        if (line.type === 'cut') {
          yield { type: 'end', processes: list.lines, limit: line.limit };
          return;
        }
        if (line.type !== 'more') yield line;
      }
    }
  }

  async *claimDigests(request: ContentRequest, signal?: AbortSignal): AsyncGenerator<UntrustedClaim> {
    let next = 0;
    const exchange = await this.ask(ROUTES.digests, JSON_TYPE, request, signal);
    const take = (untrusted: Buffer): DigestLine => {
      const line = parseMessage(DigestLineOrMisfit, untrusted);
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

  /** Sends an OpenC2 command and returns its response. */
  private async command<Results>(
    message: unknown,
    requestId: string,
    schema: z.ZodType<OpenC2Message<Results>>,
    signal: AbortSignal | undefined,
  ): Promise<OpenC2Response<Results>> {
    const within = this.link.deadlines.command;
    const exchange = await this.ask(ROUTES.openc2, OPENC2_CONTENT_TYPE, message, signal);
    try {
      await exchange.answered(200, within);
      const untrusted = await exchange.readAll(within);
      const { headers, body } = exchange.guard(() => parseMessage(schema, untrusted));
      if (headers.request_id !== requestId) throw exchange.violate('it answers what was not asked');
      return body.openc2.response;
    } finally {
      exchange.abandon();
    }
  }
}

interface OpenC2Response<Results> {
  status: number;
  results: Results;
}
interface OpenC2Message<Results> {
  headers: { request_id: string };
  body: { openc2: { response: OpenC2Response<Results> } };
}

/** Facts that cannot be cost the file whose they are. */
const DigestLineOrMisfit = DigestLine.or(
  z
    .object({ type: z.literal('digest'), index: z.int(), facts: z.unknown(), sha256 })
    .transform(({ index }): DigestLine => ({ type: 'failure', index, failure: MISFIT })),
);
const MISFIT: ContentFailure = { reason: 'unreadable', detail: 'the guest says of it what cannot be' };

const endsPage = ({ type }: { readonly type: string }): boolean => type === 'end' || type === 'more';
const isEnd = ({ type }: { readonly type: string }): boolean => type === 'end';
