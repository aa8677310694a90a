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
import { defaults, type Settings } from '../../core/config/index.ts';
import { ActionExecutor } from '../../core/control/execute.ts';
import { NeverTouch } from '../../core/control/never-touch.ts';
import { Vault } from '../../core/control/vault.ts';
import type { EventSink, OcsfEvent } from '../../core/events/sink.ts';
import { PluginRegistry } from '../../core/plugin/registry.ts';
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
  readonly onEvent?: (event: OcsfEvent) => Promise<void> | void;
}

export class ScriptedScan implements AsyncDisposable {
  readonly session: ScriptedSession;
  readonly events: OcsfEvent[] = [];
  readonly progress: ScanProgress[] = [];
  readonly spool: Spool;
  readonly journal: ActionJournal;
  readonly findings: FindingStore;
  readonly scans: ScanStore;
  private readonly directory: string;
  private readonly database: StateDatabase;
  private readonly plugins: PluginRegistry;
  private readonly scanRun: ScanRun;

  static async of(script: Script, options: ScriptedScanOptions = {}): Promise<ScriptedScan> {
    const { detector = evilDetector(), others = [] } = options;
    const evil = definePlugin({
      meta: { kind: 'detector', id: 'evil', version: '1', description: 'finds evil' },
      options: { '~standard': { version: 1, vendor: 'test', validate: () => ({ value: {} }) } },
      requires: ['query:files', 'query:content'],
      setup: () => detector,
    });
    const directory = mkdtempSync(join(tmpdir(), 'lazaret-scripted-'));
    const context = { logger: silent, cache: directory, signal: new AbortController().signal };
    const all = [evil, ...others, stopProcess, containFile, deleteFile];
    const plugins = await PluginRegistry.open(all, {}, context);
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
    this.database = StateDatabase.open(join(this.directory, 'state'));
    this.spool = Spool.create(this.directory, options.spoolBytes ?? 1024 * 1024);
    this.journal = new ActionJournal(this.database);
    this.findings = new FindingStore(this.database);
    this.scans = new ScanStore(this.database);
    const vault = new Vault(join(this.directory, 'state'), new VaultIndex(this.database));
    const executor = new ActionExecutor({ journal: this.journal, vault });
    const base = defaults();
    const settings = { ...base, policy: { ...base.policy, ...options.policy } };
    const guest = connected(script);
    this.session = guest.session;
    new VmStore(this.database).save(guest.vm);
    this.scanRun = new ScanRun(
      ...([guest, new NeverTouch(), settings, plugins, this.spool, executor] as const),
      ...([
        this.scans,
        this.findings,
        this.sink(options.onEvent),
        Date.now,
        { problems: async () => [] },
      ] as const),
    );
  }

  run(mode: Mode = 'detect', signal: AbortSignal = new AbortController().signal): Promise<ScanReport> {
    const { domain } = connected({});
    const onProgress = (progress: ScanProgress) => void this.progress.push(progress);
    return this.scanRun.run(
      { domain, mode, dryRun: false, roots: [GuestPath.of('/')] },
      { signal, onProgress },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plugins.close();
    this.spool[Symbol.dispose]();
    this.database.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private sink(onEvent: ScriptedScanOptions['onEvent']): EventSink {
    return {
      emit: async (event) => {
        await onEvent?.(event);
        this.events.push(event);
      },
    };
  }
}
