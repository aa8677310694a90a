import { randomUUID } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from './act/journal.ts';
import { Allegiance } from './allegiance.ts';
import { renewIdentity, settleIdentity } from './identity.ts';
import { openStateDirectory } from './state.ts';
import { TempDirectory } from './testing/tree.ts';

const [HERE, THERE] = [randomUUID(), randomUUID()];
const HOST = 'a'.repeat(64);

let directory: TempDirectory;
let state: string;
let lines: string[];
beforeEach(() => {
  directory = new TempDirectory();
  state = join(directory.path, 'state');
  openStateDirectory(state);
  lines = [];
});
afterEach(() => directory[Symbol.dispose]());

const settle = (smbiosUuid: string | undefined, at = state) =>
  settleIdentity({ state: at, journal: new Journal(at), smbiosUuid }, (line) => void lines.push(line));

/** A life with a host: it is obeyed, has come to epoch 7, and has had a command carried out. */
function live(): string {
  const id = randomUUID();
  new Allegiance(state).accept(HOST, 7);
  const journal = new Journal(state);
  journal.begin({ id, name: 'delete:file' });
  journal.settle(id, { code: 'done' });
  journal.finish(id);
  return id;
}

describe('an identity', () => {
  it('is made once, and stays on its machine: after a restart, a revert, a migration', async () => {
    const made = await settle(HERE);
    const id = live();
    expect(await settle(HERE)).toEqual(made);
    expect(new Allegiance(state).objectionTo('b'.repeat(64))).toBeDefined();
    expect(new Journal(state).outcomeOf(id)).toEqual({ code: 'done' });
    expect(lines).toEqual([]);
  });

  it('is another one in a clone, which knows nothing of hosts, epochs and commands', async () => {
    const original = await settle(HERE);
    const command = live();
    const copied = join(directory.path, 'clone');
    cpSync(state, copied, { recursive: true });
    const clone = await settle(THERE, copied);
    expect(clone.id).not.toBe(original.id);
    expect(clone.keyId).not.toBe(original.keyId);
    expect(clone.key).not.toBe(original.key);
    const allegiance = new Allegiance(copied);
    expect(allegiance.objectionTo('b'.repeat(64))).toBeUndefined();
    expect(allegiance.objectionToEpoch(1)).toBeUndefined();
    expect(new Journal(copied).outcomeOf(command)).toBeUndefined();
    expect(lines).toEqual([expect.stringContaining(HERE)]);
    // From now on it is that one, and the original is what it was.
    expect(await settle(THERE, copied)).toEqual(clone);
    expect(await settle(HERE)).toEqual(original);
    expect(lines).toHaveLength(1);
  });

  it('is made anew when the one that made it was interrupted', async () => {
    await settle(HERE);
    live();
    const half = await renewIdentity({ state, journal: new Journal(state), smbiosUuid: undefined });
    const whole = await settle(THERE);
    expect(whole.id).not.toBe(half.id);
    expect(existsSync(join(state, 'host.pin'))).toBe(false);
    expect(await settle(THERE)).toEqual(whole);
  });

  it('stays where the machine tells no UUID, or told none when it was made', async () => {
    const made = await settle(undefined);
    expect(existsSync(join(state, 'smbios-uuid'))).toBe(false);
    expect(await settle(HERE)).toEqual(made);
    expect(await settle(undefined)).toEqual(made);
    expect((await settle(THERE)).id).not.toBe(made.id);
  });

  it('stays where what is written of the machine is spoilt', async () => {
    const made = await settle(HERE);
    writeFileSync(join(state, 'smbios-uuid'), 'spoilt');
    expect(await settle(THERE)).toEqual(made);
    expect(readFileSync(join(state, 'smbios-uuid'), 'utf8')).toBe(`${THERE}\n`);
  });

  it('that is lost is made again, for the host that was obeyed', async () => {
    const made = await settle(HERE);
    live();
    rmSync(join(state, 'identity.json'));
    expect((await settle(HERE)).id).not.toBe(made.id);
    expect(new Allegiance(state).objectionTo('b'.repeat(64))).toBeDefined();
  });

  it('that is spoilt is an error', async () => {
    await settle(HERE);
    writeFileSync(join(state, 'identity.json'), '{}');
    await expect(settle(HERE)).rejects.toThrow(expect.objectContaining({ code: 'no-state' }));
  });

  it('is not given up while a command is not finished', async () => {
    const made = await settle(HERE);
    const journal = new Journal(state);
    journal.begin({ id: randomUUID(), name: 'delete:file' });
    await expect(renewIdentity({ state, journal, smbiosUuid: HERE })).rejects.toThrow('not finished');
    expect(readdirSync(join(state, 'commands'))).toHaveLength(1);
    expect(await settle(HERE)).toEqual(made);
  });
});
