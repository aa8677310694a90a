/** A scan of a scripted guest, with real stores, spool, vault and executor in a folder of its own. */
import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Detector,
  definePlugin,
  type Mode,
  type Plugin,
  type Remediation,
} from '../../core/api/index.ts';
import { defaults, LiveSettings, type Settings } from '../../core/config/index.ts';
import { ActionExecutor } from '../../core/control/execute.ts';
import { Vault } from '../../core/control/vault.ts';
import type { EventSink, OcsfEvent } from '../../core/events/sink.ts';
import { PluginRegistry } from '../../core/plugin/registry.ts';
import { Known } from '../../core/scan/known.ts';
import type { ScanProgress, ScanReport } from '../../core/scan/report.ts';
import { ScanRun } from '../../core/scan/scan-run.ts';
import { Spool } from '../../core/scan/spool.ts';
import { ActionJournal } from '../../core/store/action-journal.ts';
import { StateDatabase } from '../../core/store/database.ts';
import { FindingStore } from '../../core/store/findings.ts';
import { ScanStore } from '../../core/store/scans.ts';
import { VaultIndex } from '../../core/store/vault-index.ts';
import { VmStore } from '../../core/store/vms.ts';
import containFile from '../../plugins/remediations/contain-file/index.ts';
import deleteFile from '../../plugins/remediations/delete-file/index.ts';
import stopProcess from '../../plugins/remediations/stop-process/index.ts';
import { GuestPath } from '../../protocol/index.ts';
import { silent } from '../conformance/subjects.ts';
import { evilDetector } from './evil-detector.ts';
import { connected, type Script, type ScriptedSession } from './scripted-session.ts';

export interface ScriptedScanOptions {
  readonly policy?: Partial<Settings['policy']>;
  readonly spoolBytes?: number;
  readonly detector?: Detector;
  /** Detectors besides it. */
  readonly others?: readonly Plugin<'detector'>[];
  readonly remediation?: Remediation;
  /** For the audit of what is known; without it, as little as can be is audited. */
  readonly random?: () => number;
  /** Known lines that are held at a time. */
  readonly mostLines?: number;
  readonly onEvent?: (event: OcsfEvent) => Promise<void> | void;
}

export interface ScriptedRun {
  readonly mode?: Mode;
  readonly signal?: AbortSignal;
  readonly fresh?: boolean;
}

export class ScriptedScan implements AsyncDisposable {
  session: ScriptedSession;
  readonly events: OcsfEvent[] = [];
  readonly progress: ScanProgress[] = [];
  readonly spool: Spool;
  readonly journal: ActionJournal;
  readonly findings: FindingStore;
  readonly scans: ScanStore;
  private readonly directory: string;
  private readonly database: StateDatabase;
  private readonly settings: Settings;
  private readonly executor: ActionExecutor;
  private readonly known: Known;
  private readonly sink: EventSink;
  private plugins: PluginRegistry;
  private guest: ReturnType<typeof connected>;

  static async of(script: Script, options: ScriptedScanOptions = {}): Promise<ScriptedScan> {
    const directory = mkdtempSync(join(tmpdir(), 'lazaret-scripted-'));
    const plugins = await open(options.detector ?? evilDetector(), directory, options.others);
    return new ScriptedScan(script, options, plugins, directory);
  }

  private constructor(
    script: Script,
    options: ScriptedScanOptions,
    plugins: PluginRegistry,
    directory: string,
  ) {
    this.directory = directory;
    this.plugins = plugins;
    this.guest = connected(script);
    this.database = StateDatabase.open(join(this.directory, 'state'));
    this.spool = Spool.create(this.directory, options.spoolBytes ?? 1024 * 1024);
    this.journal = new ActionJournal(this.database);
    this.findings = new FindingStore(this.database);
    this.scans = new ScanStore(this.database);
    const base = defaults();
    this.settings = { ...base, policy: { ...base.policy, ...options.policy } };
    const vault = new Vault(join(this.directory, 'state'), new VaultIndex(this.database));
    this.executor = new ActionExecutor({ journal: this.journal, vault });
    const random = options.random ?? (() => 0.999_999);
    this.known = new Known(this.database, this.settings.policy.knownContent, {
      random,
      ...(options.mostLines !== undefined && { mostLines: options.mostLines }),
    });
    this.sink = { emit: (event) => this.emit(event, options.onEvent) };
    this.session = this.guest.session;
  }

  /** From now on this is the guest that is scanned; by default the one that was. */
  become(script: Script, vm = this.guest.vm.id): ScriptedSession {
    this.guest = connected(script, vm);
    this.session = this.guest.session;
    return this.session;
  }

  /** Known lines that scans under way hold. */
  get linesHeld(): number {
    return this.known.linesHeld;
  }

  /** From now on this is the detector. */
  async detectWith(detector: Detector): Promise<void> {
    await this.plugins.close();
    this.plugins = await open(detector, this.directory);
  }

  run({ mode = 'detect', signal, fresh = false }: ScriptedRun = {}): Promise<ScanReport> {
    new VmStore(this.database).save(this.guest.vm);
    const { domain } = this.guest;
    const run = new ScanRun(
      ...([this.guest, new LiveSettings(this.settings), this.plugins, this.spool, this.executor] as const),
      ...([
        this.scans,
        this.findings,
        this.sink,
        Date.now,
        { problems: async () => [] },
        this.known,
        () => undefined,
      ] as const),
    );
    return run.run(
      { domain, mode, dryRun: false, fresh, roots: [GuestPath.of('/')] },
      {
        signal: signal ?? new AbortController().signal,
        onProgress: (progress) => void this.progress.push(progress),
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plugins.close();
    this.spool[Symbol.dispose]();
    this.database.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private async emit(event: OcsfEvent, onEvent: ScriptedScanOptions['onEvent']): Promise<void> {
    await onEvent?.(event);
    this.events.push(event);
  }
}

function open(
  detector: Detector,
  cache: string,
  others: readonly Plugin<'detector'>[] = [],
): Promise<PluginRegistry> {
  const evil = definePlugin({
    meta: { kind: 'detector', id: 'evil', version: '1', description: 'finds evil' },
    options: { '~standard': { version: 1, vendor: 'test', validate: () => ({ value: {} }) } },
    requires: ['query:files', 'query:content'],
    setup: () => detector,
  });
  const context = { logger: silent, cache, signal: new AbortController().signal };
  return PluginRegistry.open([evil, ...others, stopProcess, containFile, deleteFile], {}, context);
}
