/** The agent as its sessions see it: what outlives every one of them. */
import { closeSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { GuestPath, INSTRUCTION_NAMES, type InstructionName } from '../protocol/index.ts';
import { Actor } from './act/actor.ts';
import { Hands } from './act/hands.ts';
import { Journal } from './act/journal.ts';
import { Protection } from './act/protection.ts';
import { Allegiance } from './allegiance.ts';
import { EnrolmentTokens } from './enrolment/token.ts';
import { messageOf, StartError } from './error.ts';
import { clearStaged, stagedDirectory } from './handlers/staging.ts';
import { type Identity, settleIdentity } from './identity.ts';
import { pidfdOpen } from './linux/calls.ts';
import { errnoOf } from './linux/error.ts';
import { Root } from './linux/root.ts';
import { smbiosUuid as firmwareUuid } from './machine.ts';
import { Readers } from './reader/readers.ts';
import { type PaceClock, systemClock } from './session/pace.ts';
import { openStateDirectory } from './state.ts';

export interface Agent {
  readonly identity: Identity;
  /** The firmware's UUID, lower case, where it is known. */
  readonly smbiosUuid: string | undefined;
  readonly tokens: EnrolmentTokens;
  readonly root: Root;
  /** The state directory. */
  readonly state: string;
  readonly denied: ReadonlySet<InstructionName>;
  /** What this process can do here, unless the administrator denies it. */
  readonly able: ReadonlySet<InstructionName>;
  readonly allegiance: Allegiance;
  readonly actor: Actor;
  readonly readers: Readers;
  readonly hands: Hands;
  readonly protection: Protection;
  readonly paceClock: PaceClock;
  /** One line for the operator; escaped where it is shown. */
  log(line: string): void;
}

export interface AgentOptions {
  /** The directory that is the guest's `/`. */
  readonly root: string;
  readonly state: string;
  readonly denied: ReadonlySet<InstructionName>;
  /** Files that only the guest's administrator changes: the program and its configuration. */
  readonly ownFiles: readonly string[];
  /** By which work is paced, where it is not this machine's. */
  readonly paceClock?: PaceClock;
  /** A call that takes longer is held to hang (`HUNG_AFTER_MS`). */
  readonly hungAfterMs?: number;
  /** Readers that may be left behind (`MOST_STRANDED`). */
  readonly mostStranded?: number;
  /** A file with an enrolment token, before any other place of one. */
  readonly tokenFile?: string | undefined;
  /** In place of what the firmware says. */
  readonly smbiosUuid?: string;
  log(line: string): void;
}

/** Makes ready for sessions, and brings what an earlier run left unfinished to an end. Throws StartError. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { root: path, state, denied, ownFiles, hungAfterMs, log, smbiosUuid = firmwareUuid() } = options;
  openStateDirectory(state);
  clearStaged(state);
  const root = openRoot(path);
  const journal = new Journal(state);
  const directories = [state, stagedDirectory(state), join(state, 'commands')];
  const possessions = { directories, files: ownFiles };
  const protection = new Protection(possessions);
  const hands = new Hands({ root: root.path, possessions, hungAfterMs });
  const actor = new Actor({ hands, journal, denied, log });
  await actor.reconcile();
  const identity = await settleIdentity({ state, journal, smbiosUuid }, log);
  const allegiance = new Allegiance(state);
  const tokens = findTokens(options);
  const readers = new Readers({
    root,
    own: protection.ownDirectories,
    hungAfterMs,
    mostStranded: options.mostStranded,
    log,
  });
  const { paceClock = systemClock(() => readers.cpuTime) } = options;
  return {
    ...{ identity, smbiosUuid, tokens, root, state, denied, able: abilities() },
    ...{ allegiance, actor, readers, hands, protection, paceClock, log },
  };
}

function findTokens({ tokenFile, state, log }: AgentOptions): EnrolmentTokens {
  const credentials = process.env.CREDENTIALS_DIRECTORY;
  return new EnrolmentTokens({ file: tokenFile, credentials, firmware: '/sys/firmware', state }, log);
}

function openRoot(path: string): Root {
  try {
    const root = new Root(realpathSync(path));
    closeSync(root.openDirectory(GuestPath.of('/')));
    return root;
  } catch (cause) {
    const reason = errnoOf(cause) === 'ENOSYS' ? 'it takes Linux 5.6 or newer (openat2)' : messageOf(cause);
    throw new StartError('no-root', `the root ${path} cannot be opened: ${reason}`, { cause });
  }
}

/** Without being root less will succeed, but nothing is impossible; without pidfds no process is safe to stop. */
function abilities(): Set<InstructionName> {
  const able = new Set<InstructionName>(INSTRUCTION_NAMES);
  try {
    closeSync(pidfdOpen(process.pid));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    able.delete('stop:process');
  }
  return able;
}
