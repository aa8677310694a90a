/** One invocation of a command: its arguments, its options and where its output goes. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Logger } from '../api/index.ts';
import { loadSettings, type Settings } from '../config/index.ts';
import { NdjsonSink } from '../events/ndjson.ts';
import type { EventSink } from '../events/sink.ts';
import type { Catalogue } from '../plugin/third-party.ts';
import type { StartEngine, StartHost } from './engine.ts';
import { exitCodeOf, renderError } from './error.ts';
import { EXIT } from './exit.ts';
import type { Io } from './io.ts';
import { jsonLine } from './json.ts';
import type { Examinable } from './plugin-checkup.ts';
import { ProgressBar } from './progress.ts';
import { type Paint, paintFor, type Shade } from './style.ts';
import { type Column, renderTable } from './table.ts';
import { harmless } from './text.ts';

/** What commands are made with. */
export interface Context {
  readonly io: Io;
  /** The plugins that a configuration can name; without one, those that come with Lazaret. */
  plugins(settings?: Settings): Promise<readonly Examinable[]>;
  /** All plugins, with what is known of those of third parties. */
  catalogue(settings: Settings): Promise<Catalogue>;
  readonly startEngine: StartEngine;
  readonly startHost: StartHost;
  /** Where the daemon of this configuration listens; undefined where it has no API. */
  apiSocket?(settings: Settings): string | undefined;
}

/** For commands that report in their own way. */
export const noEvents: EventSink = { emit: () => Promise.resolve() };

interface CommonOptions {
  readonly config?: string;
  readonly state?: string;
  readonly json?: boolean;
  readonly color: boolean;
  readonly debug?: boolean;
}

export class Run<Options extends object = object> {
  readonly io: Io;
  readonly args: readonly string[];
  readonly options: Options & CommonOptions;
  /** Colours of stdout, and of stderr. */
  readonly paint: Paint;
  readonly paintNote: Paint;
  readonly progress: ProgressBar;

  constructor(io: Io, args: readonly string[], options: Options & CommonOptions) {
    this.io = io;
    this.args = args;
    this.options = options;
    this.paint = paintFor(io.stdout, io.env, options.color);
    this.paintNote = paintFor(io.stderr, io.env, options.color);
    this.progress = new ProgressBar(io.stderr);
  }

  get json(): boolean {
    return this.options.json === true;
  }

  async settings(): Promise<Settings> {
    return this.withState((await loadSettings({ file: this.options.config })).settings);
  }

  /** For those who start the engine: the options of plugins are checked as well. */
  async settingsForEngine(context: Context): Promise<Settings> {
    const { settings } = await loadSettings({ file: this.options.config }, (settings) =>
      context.plugins(settings),
    );
    return this.withState(settings);
  }

  /** With the state directory of the command line, where it names one. */
  withState(settings: Settings): Settings {
    const { state } = this.options;
    return state === undefined ? settings : { ...settings, state: resolve(state) };
  }

  print(text: string): void {
    this.io.stdout.write(`${text}\n`);
  }

  /** To stderr: what a program that reads stdout has no use for. A progress bar makes way. */
  note(text: string): void {
    this.progress.clear();
    this.io.stderr.write(`${text}\n`);
  }

  printJson(value: unknown): void {
    this.io.stdout.write(jsonLine(value));
  }

  /** The rows as a table or, with --json, one line of JSON each; `nothing` is said when there are none. */
  printRows<Row>(
    rows: readonly Row[],
    columns: readonly Column<Row>[],
    asJson: (row: Row) => unknown,
    nothing: string,
  ): void {
    if (this.json) for (const row of rows) this.printJson(asJson(row));
    else if (rows.length === 0) this.note(nothing);
    else this.io.stdout.write(renderTable(columns, rows, this.io.stdout.columns, this.paint));
  }

  /** Events as lines of JSON on stdout; whoever reads them sets the pace. */
  jsonEvents(): EventSink {
    return new NdjsonSink(this.io.stdout.stream);
  }

  printError(error: unknown): void {
    this.note(renderError(error, this.paintNote, this.options.debug === true).trimEnd());
  }

  /** What the engine logs goes to stderr: warnings always, the rest with --debug. */
  get logger(): Logger {
    const log = (shade: Shade, level: string) => (message: string, facts?: object) =>
      this.note(
        `${this.paintNote(shade, `${level}:`)} ${harmless(message)}${facts ? ` ${jsonLine(facts).trimEnd()}` : ''}`,
      );
    const silent = (): void => undefined;
    const debug = this.options.debug === true;
    return {
      debug: debug ? log('faint', 'debug') : silent,
      info: debug ? log('faint', 'info') : silent,
      warn: log('warning', 'warning'),
    };
  }
}

/** An action for commander: runs `work`, whose result is the exit code; tells the error that it throws, and exits with `failed`. */
export function perform<Options extends object>(
  context: Context,
  work: (run: Run<Options>) => Promise<number>,
  failed: number = EXIT.failed,
): (this: Command) => Promise<void> {
  return async function (this: Command) {
    const run = new Run<Options>(context.io, this.args, this.optsWithGlobals());
    try {
      context.io.exitCode = await work(run);
    } catch (error) {
      run.printError(error);
      context.io.exitCode = exitCodeOf(error, failed);
    }
  };
}
