import type { FileChange, GuestFile, GuestReader, Patch, PatchPlan } from 'lazaret/plugin';
import type { Bundle, BundleFile } from './bundle.ts';
import { isMalformed, type Settings, type SettingsFormat } from './settings.ts';

/** What stands in the way, as a sentence for a person. */
interface Obstacle {
  readonly reason: string;
}

/** One bundle as a patch: what is in the guest is compared with it, both before anything is changed and after. */
export class FilePolicy implements Patch {
  readonly id: string;
  readonly title: string;
  private readonly bundle: Bundle;

  constructor(bundle: Bundle) {
    this.id = bundle.id;
    this.title = bundle.title;
    this.bundle = bundle;
  }

  async plan(guest: GuestReader): Promise<PatchPlan> {
    const changes: FileChange[] = [];
    const reasons: string[] = [];
    for (const file of this.bundle.files) {
      const before = await guest.readFile(file.path);
      const after = wantedContent(file, before);
      if (!Buffer.isBuffer(after)) reasons.push(after.reason);
      else if (!isInOrder(file, before, after)) {
        const obstacle = unexpected(file, before, after);
        if (obstacle) reasons.push(obstacle.reason);
        else changes.push(changeOf(file, before, after));
      }
    }
    if (reasons.length === 0 && changes.length > 0) return { state: 'applicable', changes };
    if (reasons.length === 0) reasons.push(...(await this.verify(guest)));
    return reasons.length > 0 ? { state: 'refused', reason: reasons.join('; ') } : { state: 'satisfied' };
  }

  async verify(guest: GuestReader): Promise<readonly string[]> {
    const problems: string[] = [];
    for (const file of this.bundle.files) {
      problems.push(...fileProblems(file, await guest.readFile(file.path)));
    }
    for (const { path, settings } of this.bundle.verify) {
      problems.push(...settingProblems(path, settings, await guest.readFile(path)));
    }
    return problems;
  }
}

/** What the file is to be. Settings are laid into what it is now; where nothing must be, they are all of it. */
function wantedContent({ path, expect, content, settings }: BundleFile, before: GuestFile | undefined) {
  if (content !== undefined) return Buffer.from(content, 'utf8');
  if (!settings) throw new TypeError('the schema let a file pass with neither content nor settings');
  if (!before && expect !== 'absent') return obstacle(`${path} is not there, so nothing can be set in it`);
  return contentWith(path, settings, before);
}

type WantedSettings = NonNullable<BundleFile['settings']>;

function contentWith(path: string, { format, set }: WantedSettings, before: GuestFile | undefined) {
  const parsed = format.parse(textOf(before));
  if (isMalformed(parsed)) return malformed(path, parsed);
  return Buffer.from(parsed.with(set), 'latin1');
}

const textOf = (file: GuestFile | undefined): string => file?.content.toString('latin1') ?? '';

const obstacle = (reason: string): Obstacle => ({ reason });

const malformed = (path: string, { line, fault }: { readonly line: number; readonly fault: string }) =>
  obstacle(`${path}, line ${line}: ${fault}`);

const isInOrder = (file: BundleFile, now: GuestFile | undefined, wanted: Buffer): boolean =>
  now?.content.equals(wanted) === true && accessProblems(file, now).length === 0;

/** Why the file may not be changed. One that has its new content already may: then only owner or mode are to change. */
function unexpected({ path, expect }: BundleFile, before: GuestFile | undefined, after: Buffer) {
  if (expect === 'any' || before?.content.equals(after)) return undefined;
  if (expect === 'absent') return before && obstacle(`${path} is there, which was not expected`);
  if (!before) return obstacle(`${path} is not there, which was not expected`);
  if (expect.sha256.includes(before.sha256)) return undefined;
  return obstacle(`${path} has another content than expected: its SHA-256 is ${before.sha256}`);
}

const changeOf = (
  { path, mode, uid, gid }: BundleFile,
  before: GuestFile | undefined,
  after: Buffer,
): FileChange => ({
  path,
  before,
  after,
  ...(mode !== undefined && { mode }),
  ...(uid !== undefined && { uid }),
  ...(gid !== undefined && { gid }),
});

function fileProblems(file: BundleFile, now: GuestFile | undefined): string[] {
  if (!now) return [`${file.path} is not there`];
  const { path, content, settings } = file;
  const problems = settings ? settingProblems(path, settings, now) : [];
  if (content !== undefined && !now.content.equals(Buffer.from(content, 'utf8'))) {
    problems.push(`${path} has another content`);
  }
  return [...problems, ...accessProblems(file, now)];
}

function accessProblems({ path, mode, uid, gid }: BundleFile, now: GuestFile): string[] {
  const problems: string[] = [];
  if (mode !== undefined && mode !== now.mode) {
    problems.push(`${path} has the mode ${octal(now.mode)}, not ${octal(mode)}`);
  }
  if (uid !== undefined && uid !== now.uid)
    problems.push(`${path} belongs to the user ${now.uid}, not ${uid}`);
  if (gid !== undefined && gid !== now.gid)
    problems.push(`${path} belongs to the group ${now.gid}, not ${gid}`);
  return problems;
}

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/** Names what was wanted, never what was found: that is text of the guest. */
function settingProblems(
  path: string,
  { format, set }: { readonly format: SettingsFormat; readonly set: Settings },
  now: GuestFile | undefined,
): string[] {
  if (!now) return [`${path} is not there`];
  const parsed = format.parse(textOf(now));
  if (isMalformed(parsed)) return [malformed(path, parsed).reason];
  return Array.from(set)
    .filter(([name, value]) => !parsed.holds(name, value))
    .map(([name, value]) => `${path} does not set ${name} to ${value}`);
}
