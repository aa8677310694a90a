/** What every source of patches keeps to: it looks and says what to change; what it asked for then holds. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { FileChange, GuestFile, GuestReader, Patch, Plugin } from '../core/api/index.ts';
import type { Case } from './case.ts';
import { setUp } from './set-up.ts';

export interface PatchTrial {
  readonly plugin: Plugin<'patch'>;
  /** A bundle, one of its kind that is faulty, and a file that is no bundle of its kind. */
  readonly bundle: string;
  readonly faulty: string;
  readonly foreign: string;
  /** Contents by path of a guest to which the bundle is applicable, and of one for which it is not. */
  readonly weak: Readonly<Record<string, string>>;
  readonly malformed: Readonly<Record<string, string>>;
}

export function patchSuite({
  plugin,
  bundle,
  faulty,
  foreign,
  weak,
  malformed,
}: PatchTrial): readonly Case[] {
  const load = async (path: string): Promise<Patch | undefined> => (await setUp(plugin)).load(path);
  const test = (name: string, work: (patch: Patch) => Promise<void>): Case => ({
    name,
    run: async () => {
      const patch = await load(bundle);
      assert.ok(patch, `${bundle} is not of its kind`);
      await work(patch);
    },
  });
  return [
    test('reads its bundles, and leaves others alone', async ({ id, title }) => {
      assert.match(id, /./);
      assert.match(title, /./);
      assert.equal(await load(foreign), undefined);
    }),
    test('refuses a faulty bundle with its code', async () => {
      await assert.rejects(load(faulty), { code: 'bad-bundle' });
    }),
    test('plans changes to what it has read, and changes nothing itself', async (patch) => {
      const guest = new ReadGuest(weak);
      const changes = await changesFor(patch, guest);
      assert.notDeepEqual(changes, []);
      for (const { path, before } of changes) assert.deepEqual(before, await guest.readFile(path));
      assert.deepEqual(guest.files, new ReadGuest(weak).files);
      assert.deepEqual(await changesFor(patch, guest), changes);
    }),
    test('is verified once its changes are made, and only then, and is satisfied', async (patch) => {
      const guest = new ReadGuest(weak);
      assert.notDeepEqual(await patch.verify(guest), []);
      for (const change of await changesFor(patch, guest)) guest.make(change);
      assert.deepEqual(await patch.verify(guest), []);
      assert.deepEqual(await patch.plan(guest), { state: 'satisfied' });
    }),
    test('refuses a guest that is not as expected, and says why', async (patch) => {
      const plan = await patch.plan(new ReadGuest(malformed));
      assert.equal(plan.state, 'refused');
      assert.match(plan.state === 'refused' ? plan.reason : '', /./);
    }),
    test('does not take a file that cannot be read for one that is not there', async (patch) => {
      const unreadable: GuestReader = { readFile: () => Promise.reject(new Error('unreadable')) };
      await assert.rejects(patch.plan(unreadable), /unreadable/);
      await assert.rejects(patch.verify(unreadable), /unreadable/);
    }),
  ];
}

async function changesFor(patch: Patch, guest: GuestReader): Promise<readonly FileChange[]> {
  const plan = await patch.plan(guest);
  assert.ok(plan.state === 'applicable', `not applicable: ${JSON.stringify(plan)}`);
  return plan.changes;
}

/** A guest's files, in memory. */
class ReadGuest implements GuestReader {
  readonly files = new Map<string, GuestFile>();

  constructor(contents: Readonly<Record<string, string>>) {
    for (const [path, content] of Object.entries(contents)) {
      this.make({ path, before: undefined, after: Buffer.from(content) });
    }
  }

  readFile(path: string): Promise<GuestFile | undefined> {
    return Promise.resolve(this.files.get(path));
  }

  /** As the host does: what a change leaves open stays as it was. */
  make({ path, before, after, mode, uid, gid }: FileChange): void {
    if (after === undefined) {
      this.files.delete(path);
      return;
    }
    this.files.set(path, {
      content: after,
      sha256: createHash('sha256').update(after).digest('hex'),
      mode: mode ?? before?.mode ?? 0o644,
      uid: uid ?? before?.uid ?? 0,
      gid: gid ?? before?.gid ?? 0,
    });
  }
}
