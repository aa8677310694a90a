/**
 * One run of a plugin: its child process, set up and then asked until it ends. What the child says counts for
 * nothing but answers to open calls, each subject once; one that goes on saying other things is ended.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { type Answer, PluginError, type SignatureFile, type Subject } from '../api/index.ts';
import { Call, type CallLimits, type Excess } from './call.ts';
import { PluginChild } from './child.ts';
import type { FoundPackage } from './manifest.ts';
import type { FromChild, Ready } from './messages.ts';
import { startChild } from './sandbox.ts';

export interface SessionLimits extends CallLimits {
  readonly startMs: number;
  readonly memoryBytes: number;
}

export interface SessionSetting {
  readonly found: FoundPackage;
  readonly options: unknown;
  readonly signatures: readonly SignatureFile[];
  /** Directories in which files are handed over. */
  readonly places: readonly string[];
  readonly limits: SessionLimits;
  /** What the plugin says beyond its bounds is added to it. */
  readonly excess: Excess;
  /** Aborted when the host shuts the plugin down. */
  readonly closing: AbortSignal;
  /** Called when the process has ended, before anybody who waits for it hears of that. */
  readonly onEnd: (reason: string) => void;
}

export interface OpenedSession {
  readonly session: PluginSession;
  readonly ready: Ready;
}

/** What nobody asked for, after which a child is ended. */
const MAX_UNASKED = 1_000;

export class PluginSession {
  private readonly setting: SessionSetting;
  private readonly child: PluginChild;
  private readonly starting = Promise.withResolvers<Ready>();
  private readonly calls = new Map<number, Call>();
  private isReady = false;
  private serial = 0;
  private unasked = 0;

  private constructor(setting: SessionSetting, process: ChildProcessWithoutNullStreams) {
    const { limits, closing } = setting;
    this.setting = setting;
    this.child = new PluginChild(process, limits.memoryBytes, (message) => this.hear(message));
    const close = () => this.child.kill('the host closes it');
    closing.addEventListener('abort', close, { once: true });
    if (closing.aborted) close();
    void this.child.ended.then((reason) => {
      closing.removeEventListener('abort', close);
      this.fall(reason);
    });
  }

  /** Rejects with PluginError `engine-failed` when the plugin does not come to be ready. */
  static async open(setting: SessionSetting): Promise<OpenedSession> {
    const { found, options, places, signatures, limits } = setting;
    const readable = [...places, ...signatures.map(({ path }) => path)];
    const process = await startChild(found, { readable, memoryBytes: limits.memoryBytes });
    const session = new PluginSession(setting, process);
    const late = () => session.child.kill(`it did not start within ${limits.startMs} ms`);
    const timer = setTimeout(late, limits.startMs);
    session.child.send({ type: 'setup', entry: found.entry, options, signatures });
    try {
      return { session, ready: await session.starting.promise };
    } finally {
      clearTimeout(timer);
    }
  }

  /** The call ends with PluginError when the plugin fails or its process ends. */
  ask(subjects: readonly Subject[]): { readonly call: Call; cancel(): void } {
    const number = ++this.serial;
    const ids = subjects.map(({ id }) => id);
    const { limits, excess } = this.setting;
    const call = new Call(ids, limits, excess, (reason) => this.child.kill(reason));
    this.calls.set(number, call);
    this.child.send({ type: 'detect', call: number, subjects });
    const cancel = () => {
      if (!this.calls.has(number)) return;
      this.child.send({ type: 'abort', call: number });
      call.cancel();
    };
    return { call, cancel };
  }

  /** Resolves when the process is gone. */
  async end(reason: string): Promise<void> {
    this.child.kill(reason);
    await this.child.ended;
  }

  private hear(message: FromChild): void {
    if (!this.isReady) this.hearStart(message);
    else if (message.type === 'answer') {
      const call = this.calls.get(message.call);
      if (!call?.take(message.answer as Answer)) this.hearUnasked();
    } else if (message.type === 'done') this.hearDone(message.call, message.error);
    else this.child.kill(message.type === 'failed' ? message.message : 'it spoke out of turn');
  }

  private hearStart(message: FromChild): void {
    this.isReady = message.type === 'ready';
    if (message.type === 'ready') this.starting.resolve(message);
    else if (message.type === 'failed') this.child.kill(message.message);
    else this.child.kill('it said something else than that it is ready');
  }

  private hearDone(number: number, error: string | undefined): void {
    const call = this.calls.get(number);
    if (!this.calls.delete(number)) this.hearUnasked();
    call?.end(error === undefined ? undefined : this.failure(error));
  }

  private hearUnasked(): void {
    this.setting.excess.unasked += 1;
    this.unasked += 1;
    if (this.unasked > MAX_UNASKED) this.child.kill('it floods the host with what nobody asked for');
  }

  private fall(reason: string): void {
    this.setting.onEnd(reason);
    const failure = this.failure(reason);
    this.starting.reject(failure);
    for (const call of this.calls.values()) call.end(failure);
    this.calls.clear();
  }

  private failure(reason: string): PluginError {
    return pluginFailure(this.setting.found, reason);
  }
}

export const pluginFailure = ({ manifest }: Pick<FoundPackage, 'manifest'>, reason: string): PluginError =>
  new PluginError('engine-failed', `the plugin ${manifest.id}: ${reason}`);
