/** Which host this agent obeys, and how far that host's epochs have come. Both outlive the agent. */
import { join } from 'node:path';
import { readIfThere, removeDurably, writeDurably } from './state.ts';

const PIN = 'host.pin';
const EPOCH = 'epoch';

/** From its next start on the agent obeys the first host that accepts it. */
export const forgetAllegiance = (state: string): void => removeDurably(state, PIN, EPOCH);

export class Allegiance {
  private readonly state: string;
  private pinned: string | undefined;
  private highestEpoch: number;

  constructor(state: string) {
    this.state = state;
    this.pinned = readIfThere(join(state, PIN))?.trim();
    this.highestEpoch = Number(readIfThere(join(state, EPOCH)) ?? 0);
  }

  /** Why this host (SHA-256 of its public key, hex) is not obeyed; undefined when it is, or is the first. */
  objectionTo(hostKey: string): string | undefined {
    if (this.pinned === undefined || this.pinned === hostKey) return undefined;
    return `this agent obeys another host; to obey this one, remove ${join(this.state, PIN)} in the guest`;
  }

  /** Why an epoch cannot be: the guest was reverted, or the host lost its records. */
  objectionToEpoch(epoch: number): string | undefined {
    if (epoch >= this.highestEpoch) return undefined;
    return `epoch ${epoch} is over, ${this.highestEpoch} was seen; to go back, remove ${join(this.state, EPOCH)}`;
  }

  /** Called when a login was accepted. */
  accept(hostKey: string, epoch: number): void {
    if (this.pinned === undefined) writeDurably(this.state, PIN, `${hostKey}\n`);
    this.pinned = hostKey;
    if (epoch > this.highestEpoch) writeDurably(this.state, EPOCH, `${epoch}\n`);
    this.highestEpoch = Math.max(epoch, this.highestEpoch);
  }
}
