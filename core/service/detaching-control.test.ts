import { beforeEach, expect, it } from 'vitest';
import { HypervisorError } from '../hypervisor/error.ts';
import { DetachingControl } from './detaching-control.ts';
import type { GuestControl } from './guests.ts';

const CHANGED = { live: true, persistent: true, needsRestart: false };

let asked: string[];
let fault: Error | undefined;
let control: DetachingControl;
beforeEach(() => {
  [asked, fault] = [[], undefined];
  const verb =
    (name: string) =>
    async (...args: readonly string[]) => {
      asked.push([name, ...args].join(' '));
      if (fault) throw fault;
      return CHANGED;
    };
  const names = ['attach', 'detach', 'start', 'stop', 'destroy', 'pause', 'resume', 'snapshot', 'revert'];
  const driver = Object.fromEntries([...names, 'snapshots', 'undefine'].map((name) => [name, verb(name)]));
  control = new DetachingControl(driver as unknown as GuestControl);
});

it('has what was detached on request stay so, until it is attached on request', async () => {
  expect(await control.verbs.detach('web')).toBe(CHANGED);
  expect([control.wasDetached('web'), control.wasDetached('db')]).toEqual([true, false]);
  await control.verbs.attach('web');
  expect(control.wasDetached('web')).toBe(false);
});

it('says while it is being detached that it is', async () => {
  const detached = control.verbs.detach('web');
  expect(control.wasDetached('web')).toBe(true);
  await detached;
});

it('keeps what could not be detached attached', async () => {
  fault = new HypervisorError('refused', 'not now');
  await expect(control.verbs.detach('web')).rejects.toMatchObject({ code: 'refused' });
  expect(control.wasDetached('web')).toBe(false);
});

it('hands all else on as it is', async () => {
  await control.verbs.snapshot('web', 'clean');
  await control.verbs.revert('web', 'clean');
  for (const verb of ['start', 'stop', 'destroy', 'pause', 'resume', 'snapshots', 'undefine'] as const)
    await control.verbs[verb]('web');
  expect(asked).toEqual([
    ...['snapshot web clean', 'revert web clean', 'start web', 'stop web', 'destroy web', 'pause web'],
    ...['resume web', 'snapshots web', 'undefine web'],
  ]);
});
