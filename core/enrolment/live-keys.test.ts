import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { domainOf, EnrolmentSetting, TestGuest } from '../../test/enrolment-setting.ts';
import type { Domain } from '../channel/session.ts';
import type { LiveKeys } from './live-keys.ts';

const [web, db] = [domainOf('web'), domainOf('db')];

let setting: EnrolmentSetting;
let live: LiveKeys;
beforeEach(() => {
  setting = new EnrolmentSetting();
  live = setting.liveKeys();
});
afterEach(() => setting[Symbol.dispose]());

/** Logs a guest in under a domain, and enters its session. */
function connect(domain: Domain, guest: TestGuest): Disposable {
  const { agentKey, login } = setting.gate('first-use').admit(domain, guest.login, guest.parties);
  return live.enter({ vm: domain.id, name: domain.name, agentKey, agentId: login.agent.id });
}
const suspended = () => [web, db].map(({ id }) => setting.vms.find(id)?.suspended !== undefined);

describe('two live sessions', () => {
  it('with one key suspend both VMs, durably, each by the name of the other', () => {
    const guest = new TestGuest();
    connect(web, guest);
    connect(db, guest);
    setting.restart();
    expect(setting.vms.find(web.id)?.suspended).toEqual({
      at: setting.now,
      reason: expect.stringContaining(`that of db (${db.id}) have the same key`),
    });
    expect(setting.vms.find(db.id)?.suspended?.reason).toContain(`that of web (${web.id})`);
    expect(setting.audited().slice(2)).toEqual([`suspended ${db.id}`, `suspended ${web.id}`]);
    expect(setting.journal.verify()).toBeUndefined();
    expect(setting.lines.filter((line) => line.includes('is suspended'))).toHaveLength(2);
  });

  it('with one agent id suspend both as well', () => {
    const [guest, clone] = [new TestGuest(), new TestGuest()];
    clone.login = { ...clone.login, agent: guest.login.agent };
    connect(web, guest);
    connect(db, clone);
    expect(suspended()).toEqual([true, true]);
    expect(setting.vms.find(web.id)?.suspended?.reason).toContain('have the same id');
  });

  it('of one VM are a reconnect, and of two guests nothing special', () => {
    const guest = new TestGuest();
    connect(web, guest);
    connect(web, guest);
    connect(db, new TestGuest());
    expect(suspended()).toEqual([false, false]);
  });

  it('are live at once: one that is over does not count, until its last session is', () => {
    const guest = new TestGuest();
    const first = connect(web, guest);
    const second = connect(web, guest);
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    first[Symbol.dispose]();
    connect(db, guest);
    expect(suspended()).toEqual([false, false]);
    connect(web, guest);
    expect(suspended()).toEqual([true, true]);
  });

  it('stay suspended after they are over, until each has a key of its own', () => {
    const guest = new TestGuest();
    connect(web, guest)[Symbol.dispose]();
    const first = connect(db, guest);
    const second = connect(web, guest);
    for (const session of [first, second]) session[Symbol.dispose]();
    connect(web, guest)[Symbol.dispose]();
    expect(suspended()).toEqual([true, true]);
    const own = new TestGuest();
    const { token } = setting.desk.createToken(db.id);
    setting.gate('token').admit(db, own.having(token), own.parties);
    expect(suspended()).toEqual([true, false]);
    setting.desk.accept(web.id, guest.agentKey);
    connect(web, guest);
    connect(db, own);
    expect(suspended()).toEqual([false, false]);
  });

  it('are suspended again when one that was accepted still shares its key', () => {
    const guest = new TestGuest();
    connect(web, guest);
    connect(db, guest);
    for (const { id } of [web, db]) setting.desk.accept(id, guest.agentKey);
    expect(suspended()).toEqual([false, false]);
    connect(db, guest);
    expect(suspended()).toEqual([true, true]);
  });

  it('of three: all three', () => {
    const guest = new TestGuest();
    const third = domainOf('third');
    for (const domain of [web, db, third]) connect(domain, guest);
    expect(suspended()).toEqual([true, true]);
    expect(setting.vms.find(third.id)?.suspended).toBeDefined();
  });
});
