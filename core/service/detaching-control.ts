import type { GuestControl } from './guests.ts';

/** What was detached on request stays so, until it is attached on request or the service starts anew. */
export class DetachingControl {
  readonly verbs: GuestControl;
  private readonly detached = new Set<string>();

  constructor(driver: GuestControl) {
    const attach: GuestControl['attach'] = (id) => {
      this.detached.delete(id);
      return driver.attach(id);
    };
    const detach: GuestControl['detach'] = async (id) => {
      const before = this.detached.has(id);
      this.detached.add(id);
      try {
        return await driver.detach(id);
      } catch (error) {
        if (!before) this.detached.delete(id);
        throw error;
      }
    };
    this.verbs = {
      attach,
      detach,
      start: (id) => driver.start(id),
      stop: (id) => driver.stop(id),
      destroy: (id) => driver.destroy(id),
      pause: (id) => driver.pause(id),
      resume: (id) => driver.resume(id),
      snapshot: (id, name) => driver.snapshot(id, name),
      revert: (id, name) => driver.revert(id, name),
      snapshots: (id) => driver.snapshots(id),
      undefine: (id) => driver.undefine(id),
    };
  }

  wasDetached(id: string): boolean {
    return this.detached.has(id);
  }
}
