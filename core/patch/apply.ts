/**
 * A patch at one guest: plan, change file by file, look again, and undo all of it when any part went wrong.
 * Every change, those of the roll-back included, is an action like any other: granted, journalled, and bound to
 * the content that the file had when it was looked at.
 */
import { randomUUID } from 'node:crypto';
import { displayText, type Instruction } from '../../protocol/index.ts';
import type { FileChange, Patch, PatchPlan } from '../api/index.ts';
import { type ActingGuest, type ActionExecutor, requireAllowed } from '../control/execute.ts';
import { explain } from '../control/obstacles.ts';
import type { PatchStore } from '../store/patches.ts';
import type { PatchRecord } from '../store/records.ts';
import { ChannelGuestReader, sha256Of } from './guest-reader.ts';

/** What a patch came to. `applicable`: a dry run, nothing was done. Paths are escaped for display. */
export interface PatchReport {
  readonly patch: string;
  readonly title: string;
  readonly state: PatchRecord['state'] | 'applicable';
  /** Why it was refused or rolled back, and what could not be undone. */
  readonly reasons: readonly string[];
  /** The changes that it calls for. */
  readonly changes: readonly { readonly path: string; readonly does: 'create' | 'replace' | 'remove' }[];
  /** The ids of the commands sent for it, in order, those of its roll-back included. */
  readonly actions: readonly string[];
}

export interface PatchApplierParts {
  readonly executor: ActionExecutor;
  readonly patches: PatchStore;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

type Conclusion = Pick<PatchReport, 'state' | 'reasons' | 'actions'>;

export class PatchApplier {
  private readonly executor: ActionExecutor;
  private readonly patches: PatchStore;
  private readonly clock: () => number;

  constructor({ executor, patches, clock = Date.now }: PatchApplierParts) {
    this.executor = executor;
    this.patches = patches;
    this.clock = clock;
  }

  /**
   * Resolves with what the patch came to, which is kept unless it is a dry run. Rejects with ChannelError or
   * PatchError when the guest cannot be looked at; from the first change on, whatever fails is rolled back and
   * reported instead. An abort rolls back as well.
   */
  async apply(
    guest: ActingGuest,
    patch: Patch,
    options: { readonly dryRun?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<PatchReport> {
    const plan = await patch.plan(new ChannelGuestReader(guest.session, options.signal));
    const changes = plan.state === 'applicable' ? plan.changes : [];
    const conclusion = await this.conclude(guest, patch, plan, options);
    const report = { patch: patch.id, title: patch.title, changes: changes.map(summaryOf), ...conclusion };
    if (!options.dryRun) this.keep(guest, report);
    return report;
  }

  private async conclude(
    guest: ActingGuest,
    patch: Patch,
    plan: PatchPlan,
    { dryRun, signal }: { readonly dryRun?: boolean; readonly signal?: AbortSignal },
  ): Promise<Conclusion> {
    if (plan.state === 'satisfied') return { state: 'satisfied', reasons: [], actions: [] };
    if (plan.state === 'refused') return { state: 'refused', reasons: [plan.reason], actions: [] };
    const refusals = plan.changes.flatMap((change) => whyNot(guest, change));
    if (refusals.length > 0) return { state: 'refused', reasons: refusals, actions: [] };
    if (dryRun) return { state: 'applicable', reasons: [], actions: [] };
    return new Application(this.executor, guest, signal).run(patch, plan.changes);
  }

  private keep({ vm }: ActingGuest, { patch, title, state, reasons, actions }: PatchReport): void {
    if (state === 'applicable') return;
    this.patches.add({
      id: randomUUID(),
      vm: vm.id,
      patch,
      title,
      state,
      reasons,
      actions,
      at: this.clock(),
    });
  }
}

/** One patch being applied: what was changed so far, so that it can be undone. */
class Application {
  private readonly executor: ActionExecutor;
  private readonly guest: ActingGuest;
  private readonly signal: AbortSignal | undefined;
  private readonly actions: string[] = [];
  private readonly done: FileChange[] = [];

  constructor(executor: ActionExecutor, guest: ActingGuest, signal: AbortSignal | undefined) {
    this.executor = executor;
    this.guest = guest;
    this.signal = signal;
  }

  async run(patch: Patch, changes: readonly FileChange[]): Promise<Conclusion> {
    const problems = await this.tryOut(patch, changes);
    if (problems.length === 0) return { state: 'applied', reasons: [], actions: this.actions };
    const failures = await this.rollBack();
    return {
      state: failures.length === 0 ? 'rolled-back' : 'rollback-failed',
      reasons: [...problems, ...failures],
      actions: this.actions,
    };
  }

  /** Makes the changes and looks at them; what was wrong, nothing when all is well. */
  private async tryOut(patch: Patch, changes: readonly FileChange[]): Promise<readonly string[]> {
    try {
      for (const change of changes) {
        this.signal?.throwIfAborted();
        // Counted from before it is sent: an answer that is lost does not mean that nothing was changed.
        this.done.push(change);
        const refusal = await this.update(updateOf(change), change.after);
        if (refusal === undefined) continue;
        this.done.pop();
        return [`${displayText(change.path)} was not changed: ${refusal}`];
      }
      return await patch.verify(new ChannelGuestReader(this.guest.session, this.signal));
    } catch (error) {
      return [messageOf(error)];
    }
  }

  /** Undoes what was done, last first; what could not be undone. */
  private async rollBack(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const change of this.done.toReversed()) {
      const failure = await this.undo(change).catch(messageOf);
      if (failure !== undefined) failures.push(`${displayText(change.path)} was not put back: ${failure}`);
    }
    return failures;
  }

  private async undo(change: FileChange): Promise<string | undefined> {
    const reader = new ChannelGuestReader(this.guest.session);
    const wanted = change.before?.sha256;
    if ((await reader.readFile(change.path))?.sha256 === wanted) return undefined;
    const refusal = await this.update(undoingOf(change), change.before?.content);
    if (refusal !== undefined) return refusal;
    const now = await reader.readFile(change.path);
    return now?.sha256 === wanted ? undefined : 'its content is not what it was';
  }

  /** Why the guest did not do it, or undefined when it did. */
  private async update(instruction: Instruction & { name: 'update:file' }, content: Buffer | undefined) {
    if (content) await this.guest.session.stage(sha256Of(content), chunksOf(content));
    const { id, outcome } = await this.executor.perform(this.guest, { instruction });
    this.actions.push(id);
    if (outcome.code === 'done') return undefined;
    return displayText(explain(instruction.name, outcome));
  }
}

/** A change is refused when it, or undoing it, would not be allowed. */
function whyNot(guest: ActingGuest, change: FileChange): readonly string[] {
  try {
    requireAllowed(guest, updateOf(change));
    requireAllowed(guest, undoingOf(change));
    return [];
  } catch (error) {
    return [`${displayText(change.path)}: ${messageOf(error)}`];
  }
}

function updateOf({ path, before, after, mode, uid, gid }: FileChange) {
  const target = {
    path,
    expect: before?.sha256 ?? null,
    content: after ? sha256Of(after) : null,
    ...(mode !== undefined && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  };
  return { name: 'update:file', target } as const;
}

function undoingOf({ path, before, after }: FileChange) {
  const target = {
    path,
    expect: after ? sha256Of(after) : null,
    content: before?.sha256 ?? null,
    ...(before && { mode: before.mode, uid: before.uid, gid: before.gid }),
  };
  return { name: 'update:file', target } as const;
}

function summaryOf({ path, before, after }: FileChange): PatchReport['changes'][number] {
  const does = before ? (after ? 'replace' : 'remove') : 'create';
  return { path: displayText(path), does };
}

async function* chunksOf(content: Buffer): AsyncGenerator<Uint8Array> {
  yield content;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
