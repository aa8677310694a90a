/** The engine as the command line composes it, with a small rule and a hash list, and what it kept. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mode } from '../../core/api/index.ts';
import { defaults, type Settings } from '../../core/config/index.ts';
import { compose } from '../../core/container.ts';
import type { OcsfEvent } from '../../core/events/sink.ts';
import { bareSocket } from '../../core/hypervisor/sockets.ts';
import type { ScanHooks, ScanReport } from '../../core/scan/report.ts';
import { LOCK } from '../../core/scan/spool-directory.ts';
import type { Services } from '../../core/services.ts';
import { ActionJournal } from '../../core/store/action-journal.ts';
import { StateDatabase } from '../../core/store/database.ts';
import { FindingStore } from '../../core/store/findings.ts';
import type { ActionRecord, FindingRecord, ScanRecord, VaultRecord } from '../../core/store/records.ts';
import { ScanStore } from '../../core/store/scans.ts';
import { VaultIndex } from '../../core/store/vault-index.ts';
import { GuestPath } from '../../protocol/index.ts';
import { silent } from '../conformance/subjects.ts';
import { sha256Of } from '../memory-guest.ts';
import { KNOWN_BY_HASH, MARKER } from './served-folder.ts';

const RULES = `
rule Scan_Test_Marker { strings: $marker = "${MARKER}" condition: $marker }
rule Scan_Test_Eicar { strings: $eicar = "EICAR-STANDARD-ANTIVIRUS-TEST" condition: $eicar }
`;

export interface EngineOptions {
  readonly policy?: Partial<Settings['policy']>;
  readonly vault?: Partial<Settings['vault']>;
  /** A spool in memory of so many bytes, and none on disk. */
  readonly spoolBytes?: number;
  /** Default: none, and the starter pack is off, so that the rules above are all there is. */
  readonly packs?: Partial<Settings['packs']>;
  /** Rule files besides the engine's own, by name. */
  readonly rules?: Readonly<Record<string, string>>;
  readonly pluginDirectories?: readonly string[];
  /** Called for each event before it counts as out; the engine waits for it. */
  readonly onEvent?: (event: OcsfEvent) => Promise<void> | void;
}

export interface ScanOptions extends Partial<ScanHooks> {
  readonly mode?: Mode;
  readonly dryRun?: boolean;
  readonly fresh?: boolean;
  readonly root?: string;
  readonly socket?: string;
}

/** What was kept, as someone else sees it who reads the state directory. */
export interface Kept {
  readonly findings: readonly FindingRecord[];
  readonly scans: readonly ScanRecord[];
  readonly actions: readonly ActionRecord[];
  readonly vault: readonly VaultRecord[];
  /** Intents and outcomes in the order in which they were written down. */
  readonly journal: readonly string[];
}

export class TestEngine implements AsyncDisposable {
  readonly events: OcsfEvent[] = [];
  readonly services: Services;
  private readonly directory: string;
  private readonly settings: Settings;

  private constructor(directory: string, settings: Settings, services: Services, events: OcsfEvent[]) {
    this.directory = directory;
    this.settings = settings;
    this.services = services;
    this.events = events;
  }

  /** Its state lies in `directory`; started there again, it is the same engine after a restart. */
  static async start(directory: string, options: EngineOptions = {}): Promise<TestEngine> {
    const settings = settingsIn(directory, options);
    const events: OcsfEvent[] = [];
    const emit = async (event: OcsfEvent) => {
      await options.onEvent?.(event);
      events.push(event);
    };
    const services = await compose(settings, { events: { emit }, logger: silent });
    return new TestEngine(directory, settings, services, events);
  }

  scan(options: ScanOptions = {}): Promise<ScanReport> {
    const { mode = 'detect', dryRun = false, fresh = false, root = '/' } = options;
    const { signal = new AbortController().signal } = options;
    const domain = bareSocket(options.socket ?? join(this.directory, 'agent.sock'), 'guest');
    const request = { domain, mode, dryRun, fresh, roots: [GuestPath.of(root)] };
    return this.services.scanner.scan(request, {
      signal,
      onProgress: options.onProgress ?? (() => undefined),
    });
  }

  kept(): Kept {
    const database = StateDatabase.read(this.settings.state);
    try {
      return {
        findings: new FindingStore(database).list(),
        scans: new ScanStore(database).list(),
        actions: new ActionJournal(database).list(),
        vault: new VaultIndex(database).list(),
        journal: database
          .all('SELECT entry FROM audit ORDER BY sequence')
          .flatMap(({ entry }) => said(String(entry))),
      };
    } finally {
      database.close();
    }
  }

  /** Contents that are still in the spool. */
  spooled(): string[] {
    return readdirSync(this.settings.spool.directory).flatMap((share) =>
      readdirSync(join(this.settings.spool.directory, share)).filter((name) => name !== LOCK),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.services.close();
  }
}

/** `intent contain:file` or `outcome done`; of actions alone, who was enrolled stands in the same log. */
function said(entry: string): string | [] {
  const [kind, columns] = JSON.parse(entry) as [string, Record<string, string>];
  if (kind === 'enrolment') return [];
  if (kind === 'intent') return `intent ${JSON.parse(columns.instruction ?? '').name}`;
  return `outcome ${JSON.parse(columns.outcome ?? '').code}`;
}

function settingsIn(
  directory: string,
  { policy, vault, spoolBytes, packs, rules = {}, pluginDirectories = [] }: EngineOptions,
): Settings {
  const base = defaults();
  const spool = join(directory, 'spool');
  const ruleFolder = join(directory, 'rules');
  for (const folder of [spool, ruleFolder]) mkdirSync(folder, { recursive: true });
  const files = { 'test.yar': RULES, ...rules };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(ruleFolder, name), text);
  const hashes = join(directory, 'hashes.txt');
  writeFileSync(hashes, `${sha256Of(Buffer.from(KNOWN_BY_HASH))} Scan_Test_Hash\n`);
  return {
    ...base,
    state: join(directory, 'state'),
    spool: {
      directory: spool,
      bytes: spoolBytes ?? base.spool.bytes,
      overflow: { ...base.spool.overflow, enabled: spoolBytes === undefined },
    },
    policy: { ...base.policy, ...policy },
    vault: { ...base.vault, ...vault },
    packs: { ...base.packs, starter: false, ...packs },
    pluginDirectories: [...pluginDirectories],
    plugins: {
      yara: { enabled: true, rules: [ruleFolder], processes: 1 },
      hashset: { enabled: true, lists: [hashes] },
    },
  };
}

/** The findings' subjects and what was done about them. */
export const answersIn = ({ findings }: ScanReport): Record<string, FindingRecord['response']> =>
  Object.fromEntries(
    findings.map(({ subject, response }) => [
      subject.kind === 'file' ? String(subject.path) : `process ${subject.pid}`,
      response,
    ]),
  );
