import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoreError } from '../error.ts';
import type { OcsfEvent } from '../events/sink.ts';
import { HypervisorError } from '../hypervisor/error.ts';
import { ActionJournal } from '../store/action-journal.ts';
import { StateDatabase } from '../store/database.ts';
import { VM_ACTIONS, type VmAction, type VmActionRecord } from '../store/records.ts';
import { VmActionJournal } from '../store/vm-action-journal.ts';
import type { GuestControl } from './guests.ts';
import { domainOf } from './testing/guests.ts';
import { type Line, memoryLogger } from './testing/requests.ts';
import { type VmActionOrder, VmActions } from './vm-actions.ts';

const web = { id: 'id-of-web', name: 'web' };
const requester = { kind: 'api', name: 'night-shift', role: 'operator' } as const;

let directory: string;
let database: StateDatabase;
let journal: VmActionJournal;
let events: OcsfEvent[];
let lines: Line[];
let actions: VmActions;
let done: string[];
let control: GuestControl;
/** Called when the hypervisor is told. */
let told: () => void;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lazaret-vm-actions-'));
  database = StateDatabase.open(directory);
  journal = new VmActionJournal(database, new ActionJournal(database));
  const log = memoryLogger();
  [events, done, lines, told] = [[], [], log.lines, () => undefined];
  const emit = async (event: OcsfEvent) => void events.push(event);
  actions = new VmActions({ journal, events: { emit }, logger: log.logger, clock: () => 7 });
  const does = (action: string) => async (id: string, snapshot?: string) => {
    told();
    done.push([action, id, snapshot].filter(Boolean).join(' '));
  };
  control = {
    ...Object.fromEntries(VM_ACTIONS.map((action) => [action, does(action)])),
    snapshots: async () => [{ name: 'clean', createdAt: new Date(0), state: 'off', current: true }],
  } as unknown as GuestControl;
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true, force: true });
});

const order = (action: VmAction): VmActionOrder =>
  action === 'snapshot' || action === 'revert'
    ? { vm: web, requester, action, snapshot: 'clean' }
    : { vm: web, requester, action };
const all = (): readonly VmActionRecord[] => journal.page({}, { limit: 99 }).items;
const fullDisk = () => {
  throw new StoreError('write-failed', 'the disk is full: make room');
};
const without = (part: 'intent' | 'outcome') =>
  new VmActions({
    journal: Object.assign(Object.create(journal), { [part]: fullDisk }),
    events: { emit: async () => undefined },
    logger: memoryLogger().logger,
    clock: () => 7,
  });

describe('an action upon a VM', () => {
  it.each(VM_ACTIONS)('%s is written down before it is done, and closed and told after', async (action) => {
    told = () => expect(journal.open(web.id)).toMatchObject([{ action, requester }]);
    await actions.perform(order(action), control);
    expect(done).toHaveLength(1);
    expect(all()).toMatchObject([{ action, outcome: { code: 'done' }, outcomeAt: 7 }]);
    expect(events).toMatchObject([
      { class_uid: 3004, status_id: 1, actor: { user: { name: 'night-shift' } } },
    ]);
  });

  it('that cannot be written down is not done', async () => {
    await expect(without('intent').perform(order('destroy'), control)).rejects.toThrow(/the disk is full/);
    expect([done, all()]).toEqual([[], []]);
  });

  it.each([
    ['refused', 'failed'],
    ['hypervisor-timeout', 'unknown'],
  ] as const)('that ends in %s is closed as %s, with its reason', async (code, outcome) => {
    told = () => {
      throw new HypervisorError(code, 'it says no');
    };
    await expect(actions.perform(order('pause'), control)).rejects.toThrow('it says no');
    expect(all()).toMatchObject([{ outcome: { code: outcome, detail: 'it says no' } }]);
    expect(events).toMatchObject([{ status_detail: 'it says no', severity_id: 3 }]);
  });
});

describe('an action that a crash left open', () => {
  const leftOpen = async (action: VmAction) => {
    await without('outcome').perform(order(action), control);
    done = [];
    expect(journal.open(web.id)).toHaveLength(1);
  };

  it.each([
    ['pause', 'paused', 'done'],
    ['pause', 'running', 'unknown'],
    ['resume', 'running', 'done'],
    ['start', 'running', 'done'],
    ['destroy', 'off', 'done'],
    ['destroy', 'running', 'unknown'],
    ['stop', 'off', 'unknown'],
    ['revert', 'running', 'unknown'],
    ['snapshot', 'running', 'done'],
  ] as const)('%s of a VM that is %s is closed as %s, and not done again', async (action, state, code) => {
    await leftOpen(action);
    await actions.reconcile(domainOf('web', { state }), control);
    expect(all()).toMatchObject([
      { outcome: { code, detail: expect.stringContaining('the service ended') } },
    ]);
    expect(done).toEqual([]);
    expect(events).toHaveLength(1);
  });

  it('is told once, though its VM changes twice meanwhile, and another VM has nothing to do with it', async () => {
    await leftOpen('snapshot');
    await actions.reconcile(domainOf('db'), control);
    expect(journal.open(web.id)).toHaveLength(1);
    await Promise.all([
      actions.reconcile(domainOf('web'), control),
      actions.reconcile(domainOf('web'), control),
    ]);
    expect(events).toHaveLength(1);
  });

  it('stays open while nothing is known of its VM, or it cannot be looked at; that is said', async () => {
    await leftOpen('snapshot');
    await actions.reconcile(domainOf('web', { state: 'unknown' }), control);
    const snapshots = () => Promise.reject(new HypervisorError('hypervisor-timeout', 'it does not answer'));
    await actions.reconcile(domainOf('web'), { ...control, snapshots });
    expect(journal.open(web.id)).toHaveLength(1);
    expect(lines).toMatchObject([{ level: 'warn', facts: { code: 'hypervisor-timeout' } }]);
    await actions.reconcile(domainOf('web'), control);
    expect(journal.open(web.id)).toEqual([]);
  });

  it('is not mistaken for one that is under way', async () => {
    told = () => void actions.reconcile(domainOf('web', { state: 'running' }), control);
    await actions.perform(order('pause'), control);
    expect(all()).toMatchObject([{ outcome: { code: 'done' } }]);
    expect(events).toHaveLength(1);
  });
});
