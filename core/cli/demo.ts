/** The whole method, step by step, on a guest that the demo makes for it and takes away again. */
import type { Command } from 'commander';
import { samples } from '../../demo/samples.ts';
import { DEMO_PATCH, faultsOf, obstacles, type Stage, setStage } from '../../demo/stage.ts';
import { GuestPath, INSTRUCTIONS } from '../../protocol/index.ts';
import type { Domain } from '../channel/session.ts';
import { defaults, type Settings } from '../config/index.ts';
import { bareSocket } from '../hypervisor/sockets.ts';
import type { TrustedKey } from '../pack/verify.ts';
import type { ScanProgress, ScanReport } from '../scan/report.ts';
import type { ActionRecord } from '../store/records.ts';
import { installDemoPack, makeDemoPack } from './demo-pack.ts';
import type { Engine } from './engine.ts';
import { EXIT } from './exit.ts';
import { formatDuration } from './format.ts';
import { interruptible } from './interrupt.ts';
import { renderPatch } from './patch.ts';
import { ProgressBar } from './progress.ts';
import { type Context, noEvents, perform, type Run } from './run.ts';
import { isIncomplete, renderReport } from './scan-report.ts';
import { State } from './state.ts';
import { displayWire, harmless } from './text.ts';
import { renderVm } from './vm-page.ts';

interface DemoOptions {
  readonly withoutQemu?: boolean;
}

/** What every step of the demo works with. */
interface Scene {
  readonly run: Run<DemoOptions>;
  readonly stage: Stage;
  readonly engine: Engine;
  readonly domain: Domain;
  readonly signal: AbortSignal;
  /** Begins a step. */
  step(title: string): void;
}

export function registerDemo(program: Command, context: Context): void {
  program
    .command('demo')
    .description('shows the whole method on a guest of its own, which it infects, cleans and removes again')
    .option('--without-qemu', 'use no virtual machine, even where one could be booted')
    .action(perform<DemoOptions>(context, (run) => demo(run, context)));
}

async function demo(run: Run<DemoOptions>, context: Context): Promise<number> {
  return interruptible(run, async (signal) => {
    try {
      return await present(run, context, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      run.note('lazaret: interrupted; nothing of the demo is left');
      return EXIT.killed;
    }
  });
}

/** Whatever happens, the guest is gone when this has ended. */
async function present(run: Run<DemoOptions>, context: Context, signal: AbortSignal): Promise<number> {
  const step = numbered(run);
  const stage = await openStage(run, step, signal);
  try {
    const pack = await makeDemoPack(stage.spool);
    const settings = settingsFor(stage, pack.trusted);
    const engine = await context.startEngine(settings, { events: noEvents, logger: run.logger, signal });
    try {
      step('A vendor signs a pack of signatures, and the host takes it');
      await installDemoPack(run, engine, pack, signal);
      return conclude(run, await play({ run, stage, engine, domain: domainOf(stage), signal, step }));
    } finally {
      await engine.close();
    }
  } finally {
    await stage.close();
    run.print('The guest and all that belonged to it are gone.');
  }
}

function numbered(run: Run): Scene['step'] {
  let number = 0;
  return (title) => run.print(`\n${run.paint('strong', `${++number}. ${title}`)}`);
}

async function openStage(run: Run<DemoOptions>, step: Scene['step'], signal: AbortSignal): Promise<Stage> {
  step('A guest is made, and infected');
  const without = run.options.withoutQemu === true;
  const reasons = without ? [] : obstacles();
  for (const reason of reasons) run.print(`no virtual machine: ${reason}`);
  const begun = performance.now();
  const stage = await setStage({ withoutQemu: without || reasons.length > 0, signal });
  run.print(`${stage.guest.kind}, up after ${formatDuration(performance.now() - begun)}`);
  run.print(`${stage.files} files, most of them copied from this machine; among them, all inert:`);
  for (const { path } of samples()) run.print(`  ${path}`);
  run.print('  a process that runs from a deleted file');
  run.print('  a weak /etc/ssh/sshd_config');
  return stage;
}

/** As a hypervisor would name it: what SMBIOS tells the guest is known where there is one. */
function domainOf({ guest }: Stage): Domain {
  const domain = bareSocket(guest.socket, 'demo-guest');
  return guest.uuid === undefined ? domain : { ...domain, uuid: guest.uuid };
}

function settingsFor(stage: Stage, trusted: TrustedKey): Settings {
  const settings = defaults();
  const spool = { ...settings.spool, directory: stage.spool };
  const packs = { ...settings.packs, trusted: [trusted] };
  return { ...settings, state: stage.state, spool, packs };
}

/** All steps in turn. What did not go as it should, a line each; nothing when all went well. */
async function play(scene: Scene): Promise<string[]> {
  const first = await firstScan(scene);
  const acted = showActions(scene, first);
  const patched = await patch(scene);
  const second = await secondScan(scene);
  scene.step('A look into the guest, past the agent');
  const seen = await faultsOf(scene.stage.guest);
  scene.run.print(seen.length === 0 ? 'nothing of it is left, and sshd is hardened' : 'not all is well');
  return [...missedIn(first), ...acted, ...patched, ...second, ...seen];
}

// ---- scans

async function firstScan(scene: Scene): Promise<ScanReport> {
  scene.step('The channel is opened, the agent logs in, and both negotiate');
  const report = await scan(scene, () => showGuest(scene));
  showReport(scene, report);
  return report;
}

/** Who logged in, what it can do, and the instruction set that follows. */
function showGuest({ run, stage, domain, step }: Scene): void {
  using state = State.read(stage.state);
  const vm = state?.vms.find(domain.id);
  run.print('in step by a nonce; TLS 1.3, each side with its key; HTTP/2; the login was accepted\n');
  if (vm) run.io.stdout.write(renderVm(vm, run.io.stdout.columns, run.paint));
  step('Its files and processes are listed, fetched and judged on the host');
}

async function secondScan(scene: Scene): Promise<string[]> {
  scene.step('The guest is scanned again');
  const report = await scan(scene, () => undefined);
  showReport(scene, report);
  const faults = report.findings.map(({ id }) => `the second scan still finds something (finding ${id})`);
  return isIncomplete(report) ? [...faults, 'the second scan left something unscanned'] : faults;
}

async function scan({ run, engine, domain, signal }: Scene, whenMet: () => void): Promise<ScanReport> {
  const bar = new ProgressBar(run.io.stderr);
  const tracked = bar.begin(domain.name);
  const request = {
    domain,
    mode: 'contain',
    dryRun: false,
    fresh: false,
    roots: [GuestPath.of('/')],
  } as const;
  let met = false;
  const onProgress = (progress: ScanProgress): void => {
    if (!met && progress.phase !== 'connecting') whenMet();
    met ||= progress.phase !== 'connecting';
    tracked.update(progress);
  };
  try {
    return await engine.scanner.scan(request, { onProgress, signal });
  } finally {
    bar.clear();
  }
}

function showReport({ run }: Scene, report: ScanReport): void {
  const { stdout } = run.io;
  stdout.write(
    renderReport(report, { width: stdout.columns, paint: run.paint, dryRun: false, withoutHints: true }),
  );
}

/** What was planted and not both found and dealt with. */
function missedIn({ findings, scan }: ScanReport): string[] {
  const contained = new Set(
    findings.flatMap(({ subject, response }) =>
      subject.kind === 'file' && response === 'contained' ? [displayWire(subject.path)] : [],
    ),
  );
  const faults = samples().flatMap(({ path }) => (contained.has(path) ? [] : [`${path} was not contained`]));
  const stopped = findings.some(
    ({ subject, response }) => subject.kind === 'process' && response === 'stopped',
  );
  if (!stopped) faults.push('no process was stopped');
  if (scan.state !== 'finished') faults.push('the first scan did not finish');
  return faults;
}

// ---- actions

/** Each action with its technique and outcome, as the journal has it. */
function showActions({ run, stage, domain, step }: Scene, { scan }: ScanReport): string[] {
  step('What was done about it, written down before and after');
  using state = State.read(stage.state);
  const actions = (state?.journal.list({ vm: domain.id }) ?? []).filter(
    ({ intentAt }) => intentAt >= scan.startedAt,
  );
  for (const action of actions.toReversed()) run.print(actionText(action));
  return actions.flatMap(({ id, outcome }) =>
    outcome?.code === 'done' ? [] : [`the action ${id} was not done`],
  );
}

function actionText({ instruction, outcome, intentAt, outcomeAt }: ActionRecord): string {
  const { d3fend } = INSTRUCTIONS[instruction.name];
  const target =
    'path' in instruction.target ? displayWire(instruction.target.path) : `pid ${instruction.target.pid}`;
  const took = outcomeAt === undefined ? '' : ` after ${outcomeAt - intentAt} ms`;
  return `  ${instruction.name} (${d3fend})  ${target}  ${harmless(outcome?.code ?? 'no outcome')}${took}`;
}

// ---- patch

async function patch({ run, stage, engine, domain, signal, step }: Scene): Promise<string[]> {
  step('A policy is sent that hardens sshd');
  const report = await engine.patcher.apply(domain, DEMO_PATCH, { dryRun: false, signal });
  run.io.stdout.write(renderPatch(domain.name, report, run.paint));
  using state = State.read(stage.state);
  const journal = new Map(state?.journal.list({ vm: domain.id }).map((action) => [action.id, action]));
  for (const id of report.actions) {
    const action = journal.get(id);
    if (action) run.print(actionText(action));
  }
  return report.state === 'applied' ? [] : [`the patch was not applied: ${report.state}`];
}

function conclude(run: Run, faults: readonly string[]): number {
  run.print('');
  if (faults.length === 0) {
    run.print(run.paint('good', 'Found, stopped, contained and patched; the second scan is clean.'));
    return EXIT.ok;
  }
  for (const fault of faults) run.note(`lazaret: ${harmless(fault)}`);
  return EXIT.failed;
}
