/** The child process as the driver sees it: questions with deadlines, events, and one end. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { displayText } from '../../../protocol/index.ts';
import { HypervisorError } from '../error.ts';
import type { Answer, EventMessage, Fault, Message, RequestName, Requests } from './messages.ts';

const SUFFIX = import.meta.url.slice(-3);
const ENTRY = fileURLToPath(new URL(`./child${SUFFIX}`, import.meta.url));
const KEPT_STDERR = 4096;
/** What libvirt's client looks at: its own configuration, and ssh for remote addresses. */
const PASSED_ON = ['HOME', 'PATH', 'SSH_AUTH_SOCK', 'XDG_RUNTIME_DIR', 'XDG_CONFIG_HOME', 'XDG_CACHE_HOME'];

interface Waiting {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: HypervisorError) => void;
  readonly timer: NodeJS.Timeout;
}

export class LibvirtProcess {
  /** Resolves when the process cannot be asked any more, with the reason. Never rejects. */
  readonly ended: Promise<HypervisorError>;
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly onEvent: (event: EventMessage) => void;
  private readonly waiting = new Map<number, Waiting>();
  private readonly end = Promise.withResolvers<HypervisorError>();
  private readonly gone: Promise<void>;
  private reason: HypervisorError | undefined;
  private lastId = 0;
  private stderr = '';

  constructor(onEvent: (event: EventMessage) => void = () => undefined) {
    this.onEvent = onEvent;
    this.ended = this.end.promise;
    const env = Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]));
    this.child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY], {
      cwd: '/',
      env,
      stdio: 'pipe',
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gone = promise;
    this.child.once('close', () => {
      this.finish(new HypervisorError('connection-failed', this.deathMessage()));
      resolve();
    });
    this.child.once('error', (cause) => {
      const message = 'the process that speaks to libvirt cannot be started';
      this.finish(new HypervisorError('connection-failed', `${message}: ${cause.message}`, { cause }));
      resolve();
    });
    // A child that has gone: its end says why.
    this.child.stdin.on('error', () => undefined);
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-KEPT_STDERR);
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.read(line));
  }

  /**
   * Rejects with HypervisorError. One that is not answered in time is `hypervisor-timeout`, and the end of this
   * process: what hangs cannot be asked anything else. `take` has the answer in its place among the events: before
   * any that comes after it.
   */
  ask<Name extends RequestName>(
    request: Name,
    ask: Requests[Name]['ask'],
    deadlineMs: number,
    take?: (answer: Requests[Name]['answer']) => void,
  ): Promise<Requests[Name]['answer']> {
    if (this.reason) return Promise.reject(this.reason);
    this.lastId += 1;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.giveUp(request, deadlineMs), deadlineMs);
      const settle = (answer: Requests[Name]['answer']) => {
        take?.(answer);
        resolve(answer);
      };
      this.waiting.set(id, { resolve: settle, reject, timer });
      this.child.stdin.write(`${JSON.stringify({ id, request, ...ask })}\n`);
    });
  }

  get isOver(): boolean {
    return this.reason !== undefined;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Resolves when the process is no more. */
  async close(): Promise<void> {
    this.finish(new HypervisorError('closed', 'the connection to libvirt was closed'));
    await this.gone;
  }

  private read(line: string): void {
    if (this.reason) return;
    try {
      this.take(JSON.parse(line));
    } catch (cause) {
      if (!(cause instanceof SyntaxError)) throw cause;
      const message = `the process that speaks to libvirt said what is none of its messages: ${displayText(line.slice(0, 200))}`;
      this.finish(new HypervisorError('connection-failed', message, { cause }));
    }
  }

  private take(message: Message): void {
    if ('id' in message) this.settle(message);
    else if (message.event === 'disconnected') this.finish(errorOf(message.fault));
    else this.onEvent(message);
  }

  private settle(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    if (waiting === undefined) return;
    this.waiting.delete(answer.id);
    clearTimeout(waiting.timer);
    if ('fault' in answer) waiting.reject(errorOf(answer.fault));
    else waiting.resolve(answer.answer as never);
  }

  private giveUp(request: RequestName, deadlineMs: number): void {
    const message = `libvirt did not answer ${request} within ${deadlineMs / 1000} s; what was asked for may still happen`;
    this.finish(new HypervisorError('hypervisor-timeout', message));
  }

  private finish(reason: HypervisorError): void {
    if (this.reason) return;
    this.reason = reason;
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.waiting.clear();
    this.child.kill('SIGKILL');
    this.end.resolve(reason);
  }

  private deathMessage(): string {
    const { exitCode, signalCode } = this.child;
    const how = signalCode === null ? `exit code ${exitCode}` : signalCode;
    const words = displayText(this.stderr.trim().split('\n').slice(-6).join(' | '));
    return `the process that speaks to libvirt ended (${how})${words && `: ${words}`}`;
  }
}

/** libvirt's words may have a guest's in them. */
function errorOf({ code, message }: Fault): HypervisorError {
  return new HypervisorError(code, displayText(message));
}
