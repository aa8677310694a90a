/** What every source of patches keeps to: it looks and says what to change; what it asked for then holds. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { FileChange, GuestFile, GuestReader, Patch, Plugin } from '../../core/api/index.ts';
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

export function patchSuite({ plugin, bundle, faulty, foreign, weak, malformed }: PatchTrial): void {
  describe(`${plugin.meta.id} as a source of patches`, () => {
    const load = async (path: string): Promise<Patch | undefined> => (await setUp(plugin)).load(path);
    const loaded = async (): Promise<Patch> => {
      const patch = await load(bundle);
      if (patch === undefined) throw new Error(`${bundle} is not of its kind`);
      return patch;
    };

    it('reads its bundles, and leaves others alone', async () => {
      expect(await loaded()).toMatchObject({
        id: expect.stringMatching(/./),
        title: expect.stringMatching(/./),
      });
      expect(await load(foreign)).toBeUndefined();
    });

    it('refuses a faulty bundle with its code', async () => {
      await expect(load(faulty)).rejects.toMatchObject({ code: 'bad-bundle' });
    });

    it('plans changes to what it has read, and changes nothing itself', async () => {
      const guest = new ReadGuest(weak);
      const changes = await changesFor(await loaded(), guest);
      expect(changes).not.toEqual([]);
      for (const { path, before } of changes) expect(before).toEqual(await guest.readFile(path));
      expect(guest.files).toEqual(new ReadGuest(weak).files);
      expect(await changesFor(await loaded(), guest)).toEqual(changes);
    });

    it('is verified once its changes are made, and only then, and is satisfied', async () => {
      const guest = new ReadGuest(weak);
      const patch = await loaded();
      expect(await patch.verify(guest)).not.toEqual([]);
      for (const change of await changesFor(patch, guest)) guest.make(change);
      expect(await patch.verify(guest)).toEqual([]);
      expect(await patch.plan(guest)).toEqual({ state: 'satisfied' });
    });

    it('refuses a guest that is not as expected, and says why', async () => {
      const plan = await (await loaded()).plan(new ReadGuest(malformed));
      expect(plan).toEqual({ state: 'refused', reason: expect.stringMatching(/./) });
    });

    it('does not take a file that cannot be read for one that is not there', async () => {
      const unreadable: GuestReader = { readFile: () => Promise.reject(new Error('unreadable')) };
      await expect((await loaded()).plan(unreadable)).rejects.toThrow('unreadable');
      await expect((await loaded()).verify(unreadable)).rejects.toThrow('unreadable');
    });
  });
}

async function changesFor(patch: Patch, guest: GuestReader): Promise<readonly FileChange[]> {
  const plan = await patch.plan(guest);
  if (plan.state !== 'applicable') throw new Error(`not applicable: ${JSON.stringify(plan)}`);
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
