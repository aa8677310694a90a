import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileTarget, GuestPath, type Outcome, type SealedInstruction } from '../../protocol/index.ts';
import { lost, MemoryGuest, sha256Of } from '../../test/memory-guest.ts';
import { ChannelError } from '../channel/error.ts';
import { StoreError } from '../error.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { VaultIndex } from '../store/vault-index.ts';
import { ActionExecutor } from './execute.ts';
import { NeverTouch } from './never-touch.ts';
import { Quarantine } from './quarantine.ts';
import { Vault } from './vault.ts';

const MALWARE = Buffer.from('malware, say');

let root: string;
let database: StateDatabase;
let journal: ActionJournal;
let index: VaultIndex;
let vault: Vault;
let executor: ActionExecutor;
let guest: MemoryGuest;
let spooled: string;

const open = () => {
  database = StateDatabase.open(join(root, 'state'));
  journal = new ActionJournal(database);
  index = new VaultIndex(database);
  vault = new Vault(database.directory, index);
  executor = new ActionExecutor({ journal, vault });
};
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-execute-'));
  spooled = join(root, 'spooled');
  writeFileSync(spooled, MALWARE);
  guest = new MemoryGuest();
  open();
});
afterEach(() => {
  database.close();
  rmSync(root, { recursive: true, force: true });
});

const contain = (target: FileTarget) => ({
  instruction: { name: 'contain:file', target } as const,
  content: { file: spooled, size: MALWARE.length },
});
const code = (name: string) => expect.objectContaining({ code: name });
const inVault = () => {
  const directory = join(root, 'state', 'vault');
  return existsSync(directory) ? readdirSync(directory) : [];
};

describe('a contained file of a suspended guest', () => {
  test('is not put back, nor staged there', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    const { id } = await executor.perform(guest.connect(), contain(target));
    const quarantine = new Quarantine(vault, executor);
    const held = index.ofAction(id)?.id ?? '';
    const suspended = { ...guest.connect(), whySuspended: () => 'it is a clone of db' };
    await expect(quarantine.restore(suspended, held)).rejects.toThrow(code('suspended'));
    expect(guest.staged.size).toBe(0);
    await quarantine.restore(guest.connect(), held);
    expect(guest.files.has('/tmp/x')).toBe(true);
  });
});

describe('a disk that takes no more', () => {
  const fullDisk = () => {
    throw new StoreError('write-failed', 'the disk is full: make room');
  };

  test('has nothing done, and leaves nothing in the vault', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    const unwritable = Object.assign(Object.create(journal), { intent: fullDisk });
    const blocked = new ActionExecutor({ journal: unwritable, vault });
    await expect(blocked.perform(guest.connect(), contain(target))).rejects.toThrow(code('not-recorded'));
    expect([guest.received, index.list(), inVault()]).toEqual([[], [], []]);
    expect(guest.files.has('/tmp/x')).toBe(true);
    expect((await executor.perform(guest.connect(), contain(target))).outcome.code).toBe('done');
  });

  test('when the guest has answered leaves the action open, and its outcome is asked for again', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    const unwritable = Object.assign(Object.create(journal), { outcome: fullDisk });
    const blocked = new ActionExecutor({ journal: unwritable, vault });
    await expect(blocked.perform(guest.connect(), contain(target))).rejects.toThrow(code('outcome-unknown'));
    expect(index.list()).toMatchObject([{ status: 'arriving' }]);
    expect(await executor.reconcile(guest.connect())).toMatchObject({
      closed: [{ outcome: { code: 'done' } }],
    });
    expect(index.list()).toMatchObject([{ status: 'held' }]);
  });

  test('is told from a damaged journal, upon which nothing goes on', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    const damaged = () => {
      throw new StoreError('corrupt', 'the journal was edited');
    };
    const blocked = new ActionExecutor({
      journal: Object.assign(Object.create(journal), { intent: damaged }),
      vault,
    });
    await expect(blocked.perform(guest.connect(), contain(target))).rejects.toThrow(code('corrupt'));
    expect(guest.received).toEqual([]);
  });
});

describe('an instruction', () => {
  test('is written down and its content is safe before the guest hears of it', async () => {
    const target = guest.write('/tmp/x', MALWARE, 0o755);
    guest.before = ({ id }) => {
      expect(journal.get(id)).not.toHaveProperty('outcome');
      expect(index.ofAction(id)).toMatchObject({ status: 'arriving', path: '/tmp/x' });
      expect(inVault()).toHaveLength(1);
    };
    const action = await executor.perform(guest.connect(), { ...contain(target), finding: 'f1' });
    expect(action).toMatchObject({ finding: 'f1', instructionSet: 'set-1', outcome: { code: 'done' } });
    expect(journal.get(action.id)).toStrictEqual(action);
    expect(index.ofAction(action.id)).toMatchObject({
      status: 'held',
      finding: 'f1',
      state: { mode: 0o755 },
    });
    expect(guest.received).toHaveLength(1);
    expect(guest.files.has('/tmp/x')).toBe(false);
  });

  test('that the guest refuses is closed with its code, and nothing stays in the vault', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    guest.write('/tmp/x', 'another file by now');
    const action = await executor.perform(guest.connect(), contain(target));
    expect(action.outcome.code).toBe('changed');
    expect(guest.text('/tmp/x')).toBe('another file by now');
    expect(index.list()).toEqual([]);
    expect(inVault()).toEqual([]);
  });

  test('that was not granted is not sent', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    const connected = guest.connect(['query:files', 'stop:process']);
    await expect(executor.perform(connected, contain(target))).rejects.toThrow(code('not-granted'));
    expect(guest.received).toEqual([]);
    expect(journal.list()).toEqual([]);
    expect(index.list()).toEqual([]);
  });

  test('is not sent to a suspended guest, and is again when it is suspended no more', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    let reason: string | undefined = 'it is a clone of db';
    const connected = { ...guest.connect(), whySuspended: () => reason };
    const asked = executor.perform(connected, contain(target));
    await expect(asked).rejects.toThrow(code('suspended'));
    await expect(asked).rejects.toThrow(
      expect.objectContaining({ message: expect.stringContaining(reason) }),
    );
    expect([guest.received, journal.list(), index.list()]).toEqual([[], [], []]);
    reason = undefined;
    expect((await executor.perform(connected, contain(target))).outcome.code).toBe('done');
  });

  test('that is open stays so while its guest is suspended', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    guest.after = lost;
    await expect(executor.perform(guest.connect(), contain(target))).rejects.toThrow(code('outcome-unknown'));
    guest.after = () => undefined;
    const sent = guest.received.length;
    const suspended = { ...guest.connect(), whySuspended: () => 'it is a clone of db' };
    expect(await executor.reconcile(suspended)).toEqual({ closed: [] });
    expect(guest.received).toHaveLength(sent);
    const { closed } = await executor.reconcile(guest.connect());
    expect(closed).toMatchObject([{ outcome: { code: 'done' } }]);
  });

  test('upon a protected file is not sent, whatever was planned', async () => {
    const shell = guest.write('/usr/bin/bash', MALWARE);
    const link = guest.write('/tmp/x', MALWARE);
    const neverTouch = new NeverTouch();
    neverTouch.observe(GuestPath.of('/bin/sh'), link.dev, link.ino);
    const connected = { ...guest.connect(), neverTouch };
    await expect(executor.perform(connected, contain(link))).rejects.toThrow(code('protected'));
    await expect(executor.perform(guest.connect(), contain(shell))).rejects.toThrow(code('protected'));
    expect(guest.received).toEqual([]);
    expect(journal.list()).toEqual([]);
  });

  test('whose content cannot be kept is not sent', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    writeFileSync(spooled, 'not what was judged');
    await expect(executor.perform(guest.connect(), contain(target))).rejects.toThrow(code('corrupt'));
    expect(guest.received).toEqual([]);
    expect(journal.list()).toEqual([]);
  });

  test('that cannot be written down is not sent', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    const remove = { instruction: { name: 'delete:file', target } } as const;
    database.run('PRAGMA query_only = ON');
    await expect(executor.perform(guest.connect(), remove)).rejects.toThrow(code('not-writable'));
    expect(guest.received).toEqual([]);
    expect(guest.files.has('/tmp/x')).toBe(true);
  });

  test('is not begun after an abort', async () => {
    const target = guest.write('/tmp/x', MALWARE);
    await expect(executor.perform(guest.connect(), contain(target), AbortSignal.abort())).rejects.toThrow();
    expect(guest.received).toEqual([]);
    expect(journal.list()).toEqual([]);
  });
});

describe('a command without an answer', () => {
  const target = () => guest.write('/tmp/x', MALWARE);

  test('is sent again under its id in the same session when the agent was busy', async () => {
    const file = target();
    guest.before = () => {
      if (guest.received.length < 3) throw new ChannelError('refused', 'busy');
    };
    const action = await executor.perform(guest.connect(), contain(file));
    expect(action.outcome.code).toBe('done');
    expect(new Set(guest.received.map((sealed) => JSON.stringify(sealed))).size).toBe(1);
    expect(guest.received).toHaveLength(3);
  });

  test.each(['before', 'after'] as const)(
    'lost %s it was carried out, is closed by the same command at the next connection',
    async (moment) => {
      const file = target();
      guest[moment] = lost;
      await expect(executor.perform(guest.connect(), contain(file))).rejects.toThrow(code('outcome-unknown'));
      const [intent] = journal.open(guest.connect().vm.id);
      expect(index.ofAction(intent?.id ?? '')).toMatchObject({ status: 'arriving' });

      guest[moment] = () => undefined;
      const { closed } = await executor.reconcile(guest.connect());
      expect(closed).toMatchObject([{ id: intent?.id, outcome: { code: 'done' } }]);
      expect(guest.received).toHaveLength(2);
      expect(guest.received[0]).toStrictEqual(guest.received[1]);
      expect(index.ofAction(intent?.id ?? '')).toMatchObject({ status: 'held' });
      expect(await executor.reconcile(guest.connect())).toEqual({ closed: [] });
    },
  );

  test('stays open while the guest stays away', async () => {
    const file = target();
    guest.before = lost;
    await expect(executor.perform(guest.connect(), contain(file))).rejects.toThrow(code('outcome-unknown'));
    expect(await executor.reconcile(guest.connect())).toMatchObject({
      closed: [],
      lost: { code: 'outcome-unknown' },
    });
    expect(journal.open(guest.connect().vm.id)).toHaveLength(1);
  });
});

const unreadable = (): never => {
  throw new ChannelError('unreadable-outcome', 'its times cannot be');
};

describe('an outcome that cannot be read', () => {
  const unanswered = async () => {
    guest.after = unreadable;
    const file = guest.write('/tmp/x', MALWARE);
    await expect(executor.perform(guest.connect(), contain(file))).rejects.toThrow(code('outcome-unknown'));
    return journal.open()[0]?.id ?? '';
  };

  test('leaves the action open, keeps nothing else from being done, and closes it as unknown at the third try', async () => {
    const id = await unanswered();
    guest.after = ({ id: sent }) => void (sent === id && unreadable());
    const other = { instruction: { name: 'delete:file', target: guest.write('/tmp/y', 'y') } } as const;
    expect((await executor.perform(guest.connect(), other)).outcome.code).toBe('done');

    expect(await executor.reconcile(guest.connect())).toEqual({ closed: [] });
    expect(index.ofAction(id)).toMatchObject({ status: 'arriving' });
    const { closed, lost } = await executor.reconcile(guest.connect());
    expect(lost).toBeUndefined();
    expect(closed).toMatchObject([
      { id, outcome: { code: 'unknown', detail: expect.stringContaining('its times cannot be') } },
    ]);
    expect(
      new Set(guest.received.filter((sealed) => sealed.id === id).map((sealed) => JSON.stringify(sealed)))
        .size,
    ).toBe(1);
    expect(await executor.reconcile(guest.connect())).toEqual({ closed: [] });
    expect(journal.unknown(0).map((action) => action.id)).toEqual([id]);
    expect(journal.verify()).toBeUndefined();
  });

  test('goes on past it to the other open actions of that guest', async () => {
    const id = await unanswered();
    guest.after = lost;
    const other = { instruction: { name: 'delete:file', target: guest.write('/tmp/y', 'y') } } as const;
    await expect(executor.perform(guest.connect(), other)).rejects.toThrow(code('outcome-unknown'));
    guest.after = ({ id: sent }) => void (sent === id && unreadable());
    expect((await executor.reconcile(guest.connect())).closed).toMatchObject([
      { instruction: { name: 'delete:file' }, outcome: { code: 'done' } },
    ]);
  });

  test('leaves the content held: it can be restored or purged', async () => {
    const id = await unanswered();
    await executor.reconcile(guest.connect());
    await executor.reconcile(guest.connect());
    guest.after = () => undefined;
    const held = index.ofAction(id);
    expect(held).toMatchObject({ status: 'held' });
    await new Quarantine(vault, executor).restore(guest.connect(), held?.id ?? '');
    expect(guest.text('/tmp/x')).toBe(MALWARE.toString());
  });

  test('is asked for over restarts of the host, and counted', async () => {
    await unanswered();
    for (let restarts = 0; restarts < 2; restarts++) {
      database.close();
      open();
      expect(journal.open()).toHaveLength(1);
      await executor.reconcile(guest.connect());
    }
    expect(journal.open()).toEqual([]);
    expect(journal.verify()).toBeUndefined();
    database.run('UPDATE actions SET tries = 1');
    expect(journal.verify()).toContain('is not as the audit log has it');
  });

  test.each(['silent', 'session-lost'] as const)(
    'an answer that never comes (%s) closes it after ten connections that it cost',
    async (lostBy) => {
      guest.after = () => {
        throw new ChannelError(lostBy, 'nothing came');
      };
      const file = guest.write('/tmp/x', MALWARE);
      await expect(executor.perform(guest.connect(), contain(file))).rejects.toThrow(code('outcome-unknown'));
      for (let tries = 2; tries < 10; tries++) {
        expect(await executor.reconcile(guest.connect())).toMatchObject({
          closed: [],
          lost: { code: 'outcome-unknown' },
        });
      }
      expect((await executor.reconcile(guest.connect())).closed).toMatchObject([
        { outcome: { code: 'unknown' } },
      ]);
    },
  );

  test('that breaks the session each time costs three sessions', async () => {
    guest.after = () => {
      throw new ChannelError('protocol-violation', 'its answer is no message');
    };
    const file = guest.write('/tmp/x', MALWARE);
    await expect(executor.perform(guest.connect(), contain(file))).rejects.toThrow(code('outcome-unknown'));
    expect(await executor.reconcile(guest.connect())).toMatchObject({ lost: { code: 'outcome-unknown' } });
    expect(await executor.reconcile(guest.connect())).toMatchObject({
      closed: [{ outcome: { code: 'unknown' } }],
    });
  });

  test('is not waited for when a person gives it up: the content is purged, and the action closed', async () => {
    const id = await unanswered();
    const held = index.ofAction(id)?.id ?? '';
    const quarantine = new Quarantine(vault, executor);
    await expect(quarantine.restore(guest.connect(), held)).rejects.toThrow(code('in-use'));
    expect(await quarantine.purge(held)).toMatchObject({ id, outcome: { code: 'unknown' } });
    expect(index.get(held).status).toBe('purged');
    expect(inVault()).toEqual([]);
    expect(journal.verify()).toBeUndefined();
  });

  test('is not given up while the guest is at it', async () => {
    const file = guest.write('/tmp/x', MALWARE);
    const given: unknown[] = [];
    guest.before = ({ id }) => void given.push(executor.giveUp(id).catch((error: unknown) => error));
    expect((await executor.perform(guest.connect(), contain(file))).outcome.code).toBe('done');
    expect(await given[0]).toMatchObject({ code: 'in-use' });
  });
});

describe('quarantine', () => {
  const contained = async () => {
    const target = guest.write('/tmp/x', MALWARE, 0o755);
    const { id } = await executor.perform(guest.connect(), contain(target));
    return index.ofAction(id)?.id ?? '';
  };

  test('restores a file as it was, once', async () => {
    const id = await contained();
    const quarantine = new Quarantine(vault, executor);
    const action = await quarantine.restore(guest.connect(), id);
    expect(guest.files.get('/tmp/x')).toMatchObject({ content: MALWARE, mode: 0o755 });
    expect(action.instruction).toMatchObject({
      name: 'restore:file',
      target: { state: { xattrs: [{ name: 'user.origin', value: 'eA==' }] } },
    });
    expect(index.get(id).status).toBe('restored');
    await expect(quarantine.restore(guest.connect(), id)).rejects.toThrow(code('not-found'));
  });

  test('does not put a file over another, nor into another guest', async () => {
    const id = await contained();
    const quarantine = new Quarantine(vault, executor);
    guest.write('/tmp/x', 'new');
    await expect(quarantine.restore(guest.connect(), id)).rejects.toThrow(code('refused'));
    expect(guest.text('/tmp/x')).toBe('new');
    const connected = guest.connect();
    const other = { ...connected, vm: { ...connected.vm, id: 'another' } };
    await expect(quarantine.restore(other, id)).rejects.toThrow(code('refused'));
    expect(index.get(id).status).toBe('held');
  });

  test('restores at the next connection what the cut channel left open', async () => {
    const id = await contained();
    const quarantine = new Quarantine(vault, executor);
    guest.after = lost;
    await expect(quarantine.restore(guest.connect(), id)).rejects.toThrow(code('outcome-unknown'));
    expect(index.get(id).status).toBe('held');
    guest.after = () => undefined;
    await executor.reconcile(guest.connect());
    expect(index.get(id).status).toBe('restored');
  });

  test('purges for good', async () => {
    const id = await contained();
    const quarantine = new Quarantine(vault, executor);
    await quarantine.purge(id);
    await expect(quarantine.restore(guest.connect(), id)).rejects.toThrow(code('not-found'));
    expect(inVault()).toEqual([]);
  });
});

describe.each(['vaulted', 'intended', 'received', 'carried-out', 'closed', 'settled'])(
  'a host killed when a containment is %s',
  (step) => {
    test('comes back to one outcome, with the content held if and only if the file is gone', async () => {
      const target = guest.write('/tmp/x', MALWARE);
      database.close();
      const child = spawn(
        process.execPath,
        [
          fileURLToPath(new URL(`./execute.child${extname(import.meta.filename)}`, import.meta.url)),
          join(root, 'state'),
          step,
          JSON.stringify(contain(target)),
          JSON.stringify({ vm: guest.connect().vm, received: join(root, 'received') }),
        ],
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
      open();
      expect(journal.verify()).toBeUndefined();

      const commands = receivedBefore(join(root, 'received'));
      for (const { id, carriedOut } of commands) {
        // B: nothing came to the guest that was not written down.
        expect(journal.find(id)).toBeDefined();
        if (!carriedOut) continue;
        guest.files.delete('/tmp/x');
        guest.outcomes.set(id, { code: 'done', state: STATE });
      }
      await executor.reconcile(guest.connect());

      // C: one outcome for each command.
      for (const action of journal.list()) expect(action.outcome?.code).toBe('done');
      expect(journal.list()).toHaveLength(step === 'vaulted' ? 0 : 1);
      const gone = !guest.files.has('/tmp/x');
      expect(gone).toBe(step !== 'vaulted');
      expect(index.list().map(({ status }) => status)).toEqual(gone ? ['held'] : []);
      expect(inVault()).toHaveLength(gone ? 1 : 0);
      for (const { id } of index.list()) {
        expect(sha256Of(Buffer.concat(await Array.fromAsync(vault.open(id))))).toBe(sha256Of(MALWARE));
      }
      expect(journal.verify()).toBeUndefined();
    });
  },
);

const STATE: Outcome['state'] = {
  mode: 0o644,
  uid: 0,
  gid: 0,
  atime: '1.000000000',
  mtime: '1.000000000',
  xattrs: [],
};

function receivedBefore(file: string): readonly { id: string; carriedOut: boolean }[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const ids = new Set(lines.map((line) => (JSON.parse(line) as SealedInstruction).id));
  return [...ids].map((id) => ({ id, carriedOut: lines.filter((line) => line.includes(id)).length > 1 }));
}

describe('where events find no room', () => {
  test('nothing is done; what was begun is settled, and each outcome is told', async () => {
    const closed: string[] = [];
    let why: string | undefined = 'the event spool is full';
    executor = new ActionExecutor({
      ...{ journal, vault, room: { reasonToWithhold: () => why } },
      onClosed: ({ instruction, outcome }) => void closed.push(`${instruction.name} ${outcome.code}`),
    });
    const acting = guest.connect();
    const target = guest.write('/tmp/malware', MALWARE);
    const refused = executor.perform(acting, contain(target));
    await expect(refused).rejects.toMatchObject({ code: 'spool-full' });
    await expect(refused).rejects.toThrow('the event spool is full');
    expect({ received: guest.received, journal: journal.list({}), vault: inVault() }).toEqual({
      ...{ received: [], journal: [], vault: [] },
    });
    why = undefined;
    guest.after = lost;
    await expect(executor.perform(acting, contain(target))).rejects.toMatchObject({
      code: 'outcome-unknown',
    });
    expect(closed).toEqual([]);
    why = 'the event spool is full';
    guest.after = () => undefined;
    await executor.reconcile(guest.connect());
    expect(closed).toEqual(['contain:file done']);
  });
});
