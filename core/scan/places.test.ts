import { describe, expect, it } from 'vitest';
import { type Place, Places } from './places.ts';

const forever = new AbortController().signal;
const MINUTE = 60_000;

/** Places whose clock and whose looks are ours. */
class Setting {
  now = 0;
  isLooking = false;
  readonly places: Places;
  readonly entered: string[] = [];
  private readonly held = new Map<string, Place>();

  constructor(atOnce: number) {
    this.places = new Places({
      atOnce,
      clock: () => this.now,
      repeat: () => {
        this.isLooking = true;
        return () => {
          this.isLooking = false;
        };
      },
    });
  }

  async ask(guest: string, isBudgeted = false, signal = forever): Promise<void> {
    const place = this.places.take({ guest, isBudgeted }, signal).then((given) => {
      this.entered.push(guest);
      this.held.set(guest, given);
    });
    place.catch(() => undefined);
    await settled();
  }

  async leave(guest: string): Promise<void> {
    this.held.get(guest)?.[Symbol.dispose]();
    await settled();
  }

  paceOf(guest: string) {
    return (this.held.get(guest) as Place).pace;
  }

  /** The guest is asked for something that does not come. */
  hang(guest: string): void {
    void this.paceOf(guest).waiting(new Promise(() => undefined));
  }

  async look(after: number): Promise<void> {
    this.now += after;
    this.places.look();
    await settled();
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('places', () => {
  it('are given in turn, to so many at once', async () => {
    const setting = new Setting(2);
    for (const guest of ['a', 'b', 'c', 'd']) await setting.ask(guest);
    expect(setting.entered).toEqual(['a', 'b']);
    expect(setting.isLooking).toBe(true);
    await setting.leave('a');
    await setting.leave('b');
    expect(setting.entered).toEqual(['a', 'b', 'c', 'd']);
    expect(setting.isLooking).toBe(false);
  });

  it('are not held by scans that wait for their guests', async () => {
    const setting = new Setting(2);
    for (const guest of ['slow-1', 'slow-2', 'healthy']) await setting.ask(guest);
    setting.hang('slow-1');
    setting.hang('slow-2');
    expect(setting.entered).not.toContain('healthy');
    await setting.look(1_000);
    expect(setting.entered).toContain('healthy');
  });

  it('are held by those that give what they are asked for', async () => {
    const setting = new Setting(1);
    for (const guest of ['a', 'b']) await setting.ask(guest);
    setting.hang('a');
    setting.paceOf('a').earn(MINUTE);
    await setting.look(1_000);
    expect(setting.entered).toEqual(['a']);
  });

  it('are one for each guest, however often it asks', async () => {
    const setting = new Setting(2);
    for (const guest of ['a', 'a', 'a', 'b']) await setting.ask(guest);
    expect(setting.entered).toEqual(['a', 'b']);
    await setting.leave('a');
    expect(setting.entered).toEqual(['a', 'b', 'a']);
  });

  it('are had later by a guest that was slow, but in the end', async () => {
    const setting = new Setting(1);
    await setting.ask('slow');
    await setting.ask('other');
    setting.hang('slow');
    await setting.look(1_000);
    await setting.leave('slow');
    await setting.ask('slow');
    for (let guest = 0; guest < 20; guest++) await setting.ask(String(guest));
    await setting.leave('other');
    for (let guest = 0; guest < 20; guest++) await setting.leave(String(guest));
    await setting.leave('slow');
    for (let guest = 0; guest < 20; guest++) await setting.leave(String(guest));
    expect(setting.entered.indexOf('slow', 1)).toBe(9);
    expect(setting.entered).toHaveLength(23);
  });

  it('are given up by who does not want one any more', async () => {
    const setting = new Setting(1);
    const stop = new AbortController();
    await setting.ask('a');
    await setting.ask('b', false, stop.signal);
    stop.abort();
    await setting.ask('c');
    await setting.leave('a');
    expect(setting.entered).toEqual(['a', 'c']);
    const aborted = setting.places.take({ guest: 'd', isBudgeted: false }, stop.signal);
    await expect(aborted).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('when all open scans wait for their guests', () => {
  /** Four guests for one place, all silent, and one that waits. */
  async function full(budgeted: readonly string[] = []): Promise<Setting> {
    const setting = new Setting(1);
    for (const guest of ['a', 'b', 'c', 'd', 'healthy']) {
      await setting.ask(guest, budgeted.includes(guest));
      if (guest !== 'healthy') setting.hang(guest);
      await setting.look(1_000);
    }
    expect(setting.entered).toEqual(['a', 'b', 'c', 'd']);
    return setting;
  }
  const ended = (setting: Setting) =>
    ['a', 'b', 'c', 'd'].filter((guest) => {
      try {
        setting.paceOf(guest).check();
        return false;
      } catch {
        return true;
      }
    });

  it('the slowest gives way, after some minutes', async () => {
    const setting = await full();
    setting.paceOf('a').earn(MINUTE);
    await setting.look(MINUTE);
    expect(ended(setting)).toEqual([]);
    await setting.look(5 * MINUTE);
    expect(ended(setting)).toEqual(['b']);
    await setting.leave('b');
    expect(setting.entered.at(-1)).toBe('healthy');
  });

  it('one that its operator made slow stays', async () => {
    const setting = await full(['a', 'b', 'c', 'd']);
    await setting.look(9 * MINUTE);
    expect(ended(setting)).toEqual([]);
  });

  it('nobody gives way when nobody waits', async () => {
    const setting = await full();
    setting.now += 9 * MINUTE;
    for (const guest of ['a', 'b', 'c']) await setting.leave(guest);
    setting.places.look();
    expect(ended(setting)).toEqual([]);
  });
});
