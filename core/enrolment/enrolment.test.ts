/** Gate and desk on one state directory. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newEnrolmentToken } from '../../protocol/index.ts';
import { domainOf, EnrolmentSetting, TestGuest } from '../../test/enrolment-setting.ts';
import { StoreError } from '../error.ts';
import { ENROLMENT_MODES, type EnrolmentMode } from './decide.ts';
import { TOKEN_LIFETIME } from './desk.ts';
import { EnrolmentGate } from './gate.ts';

const web = domainOf('web');
const db = domainOf('db');

let setting: EnrolmentSetting;
let guest: TestGuest;
beforeEach(() => {
  setting = new EnrolmentSetting();
  guest = new TestGuest();
});
afterEach(() => setting[Symbol.dispose]());

const code = (name: string) => expect.objectContaining({ code: name });
const admit = (mode: EnrolmentMode, login = guest.login, domain = web, by = guest) =>
  setting.gate(mode).admit(domain, login, by.parties);

describe('a token', () => {
  it.each(ENROLMENT_MODES)('enrols the guest that has it, once, in mode %s', (mode) => {
    const { token, expires } = setting.desk.createToken(web.id);
    expect(expires).toBe(setting.now + TOKEN_LIFETIME.default);
    const admitted = admit(mode, guest.having(token));
    expect(admitted).toMatchObject({ id: web.id, agentKey: guest.agentKey, epoch: 1 });
    setting.restart();
    expect(setting.vms.find(web.id)).toStrictEqual(admitted);
    expect(setting.enrolments.tokensOf(web.id)).toMatchObject([{ usedAt: setting.now }]);
    expect(JSON.stringify(admitted)).not.toContain('proof');
    // The same guest goes on showing it, and is let in for its key.
    setting.now += 10 * TOKEN_LIFETIME.default;
    expect(admit(mode, guest.having(token))).toMatchObject({ epoch: 1, lastSeen: setting.now });
    // Another one is not.
    const other = new TestGuest();
    expect(() => admit(mode, other.having(token), web, other)).toThrow(code('token-used'));
    expect(setting.vms.find(web.id)?.agentKey).toBe(guest.agentKey);
    expect(setting.audited()).toEqual([`token-made ${web.id}`, `enrolled ${web.id}`]);
  });

  it.each(ENROLMENT_MODES)('is refused when it has expired, and not used up, in mode %s', (mode) => {
    const { token, expires } = setting.desk.createToken(web.id, TOKEN_LIFETIME.least);
    setting.now = expires;
    expect(() => admit(mode, guest.having(token))).toThrow(code('token-expired'));
    expect(setting.vms.find(web.id)).toBeUndefined();
    setting.now = expires - 1;
    expect(admit(mode, guest.having(token)).agentKey).toBe(guest.agentKey);
  });

  it.each(ENROLMENT_MODES)('of one VM is of no use to another, in mode %s', (mode) => {
    const { token } = setting.desk.createToken(web.id);
    setting.desk.createToken(db.id);
    const other = new TestGuest();
    expect(() => admit(mode, other.having(token), db, other)).toThrow(code('token-foreign'));
    expect(setting.vms.find(db.id)).toBeUndefined();
    expect(admit(mode, guest.having(token)).id).toBe(web.id);
  });

  it.each(ENROLMENT_MODES)(
    'is proved by the one who has it: a relayed proof is refused, in mode %s',
    (mode) => {
      const { token } = setting.desk.createToken(web.id);
      const thief = new TestGuest();
      expect(() => admit(mode, guest.having(token), web, thief)).toThrow(code('token-unknown'));
      expect(setting.vms.find(web.id)).toBeUndefined();
      expect(admit(mode, guest.having(token)).agentKey).toBe(guest.agentKey);
    },
  );

  it('is asked for once it was made, also in mode first-use, until it is used or the VM reset', () => {
    setting.desk.createToken(web.id);
    expect(() => admit('first-use')).toThrow(code('not-enrolled'));
    expect(() => admit('first-use', guest.having(newEnrolmentToken()))).toThrow(code('token-unknown'));
    setting.now += 2 * TOKEN_LIFETIME.default;
    expect(() => admit('first-use')).toThrow(code('not-enrolled'));
    setting.desk.accept(web.id, guest.agentKey);
    setting.desk.createToken(web.id);
    setting.desk.reset(web.id);
    expect(admit('first-use').agentKey).toBe(guest.agentKey);
  });

  it('counts beside others that do not, in any order', () => {
    const { token: old } = setting.desk.createToken(web.id);
    admit('token', guest.having(old));
    const { token } = setting.desk.createToken(web.id);
    const { token: foreign } = setting.desk.createToken(db.id);
    const reinstalled = new TestGuest();
    const spoilt = [foreign, old, newEnrolmentToken()];
    const claim = (...tokens: string[]) => admit('token', reinstalled.having(...tokens), web, reinstalled);
    expect(() => claim(...spoilt)).toThrow(code('token-used'));
    expect(claim(...spoilt, token).agentKey).toBe(reinstalled.agentKey);
    expect(setting.enrolments.tokensOf(db.id)[0]).not.toHaveProperty('usedAt');
  });

  it('replaces the one before it', () => {
    const { token: first } = setting.desk.createToken(web.id);
    const { token: second } = setting.desk.createToken(web.id);
    expect(() => admit('token', guest.having(first))).toThrow(code('token-unknown'));
    expect(admit('token', guest.having(second)).id).toBe(web.id);
  });

  it('enrols a guest anew that has another key: nothing is kept of the old one but its epoch', () => {
    const before = admit('first-use');
    setting.vms.save({ ...before, instructionSet: { id: 'x', instructions: [], withheld: [] } });
    setting.vms.suspend(web.id, { at: 1, reason: 'a clone' });
    const { token } = setting.desk.createToken(web.id);
    const reinstalled = new TestGuest();
    const again = admit('token', reinstalled.having(token), web, reinstalled);
    expect(again).toMatchObject({ agentKey: reinstalled.agentKey, epoch: 2 });
    expect(again).not.toHaveProperty('suspended');
    expect(again).not.toHaveProperty('instructionSet');
    expect(setting.vms.find(web.id)).toStrictEqual(again);
    expect(() => admit('first-use')).toThrow(code('key-changed'));
  });

  it('is not used up by a guest whose firmware tells another UUID', () => {
    const uuid = '4c4c4544-0042-3510-8054-b7c04f564432';
    const { token } = setting.desk.createToken(web.id);
    const claim = () => admit('token', guest.having(token), { ...web, uuid });
    expect(claim).toThrow(code('identity-mismatch'));
    expect(setting.enrolments.tokensOf(web.id)[0]).not.toHaveProperty('usedAt');
    expect(setting.desk.pending()).toEqual([]);
    guest.login = { ...guest.login, smbiosUuid: uuid };
    expect(claim().login.smbiosUuid).toBe(uuid);
  });

  it('does not lie in the state directory', () => {
    const { token } = setting.desk.createToken(web.id);
    admit('token', guest.having(token));
    for (const file of ['lazaret.db', 'lazaret.db-wal'])
      expect(readFileSync(join(setting.directory, file), 'latin1')).not.toContain(token.slice(9));
  });

  it.each([0, -1, Number.NaN, TOKEN_LIFETIME.least - 1, TOKEN_LIFETIME.most + 1])(
    'cannot be good for %d ms',
    (lifetime) => {
      expect(() => setting.desk.createToken(web.id, lifetime)).toThrow(code('bad-lifetime'));
      expect(setting.enrolments.tokensOf(web.id)).toEqual([]);
    },
  );
});

describe('without a token', () => {
  it('the first login enrols in mode first-use, and another key is refused and remembered', () => {
    expect(admit('first-use').agentKey).toBe(guest.agentKey);
    const other = new TestGuest();
    expect(() => admit('first-use', other.login, web, other)).toThrow(code('key-changed'));
    expect(setting.desk.pending()).toMatchObject([{ agentKey: other.agentKey, reason: 'key-changed' }]);
    expect(admit('first-use').epoch).toBe(1);
  });

  it('a token of another host says nothing in mode first-use', () => {
    expect(admit('first-use', guest.having(newEnrolmentToken())).agentKey).toBe(guest.agentKey);
  });

  it.each(['token', 'manual'] as const)('a guest is refused and remembered in mode %s', (mode) => {
    expect(() => admit(mode)).toThrow(code('not-enrolled'));
    const firstSeen = setting.now;
    setting.now += 5000;
    expect(() => admit(mode)).toThrow(code('not-enrolled'));
    setting.restart();
    const { agentKey, login } = guest;
    const seen = { firstSeen, lastSeen: setting.now, attempts: 2, reason: 'not-enrolled' };
    expect(setting.desk.pending()).toStrictEqual([
      { vm: web.id, name: 'web', socket: web.socket, agentKey, login, ...seen },
    ]);
    expect(setting.vms.list()).toEqual([]);
  });

  it('a guest of another machine is not even remembered', () => {
    const domain = { ...web, uuid: '4c4c4544-0042-3510-8054-b7c04f564432' };
    expect(() => admit('manual', guest.login, domain)).toThrow(code('identity-mismatch'));
    expect(setting.desk.pending()).toEqual([]);
  });

  it('no guest fills the list: the latest keys of each stay, and of all no more than is bearable', () => {
    for (let n = 0; n < 10; n++) {
      setting.now++;
      guest = new TestGuest();
      expect(() => admit('manual')).toThrow();
    }
    expect(setting.desk.pending()).toHaveLength(4);
    expect(setting.desk.pending()[0]?.agentKey).toBe(guest.agentKey);
    for (let n = 0; n < 1005; n++) {
      setting.now++;
      expect(() => admit('manual', guest.login, domainOf(`vm-${n}`))).toThrow();
    }
    expect(setting.desk.pending()).toHaveLength(1000);
    expect(setting.desk.pending()[0]?.name).toBe('vm-1004');
    expect(setting.desk.pending().some(({ name }) => name === 'web')).toBe(false);
  });
});

describe("an operator's word", () => {
  it('pins the key that waits, however it is written', () => {
    expect(() => admit('manual')).toThrow(code('not-enrolled'));
    const written = `SHA256:${guest.agentKey.toUpperCase().replace(/..(?=.)/g, '$&:')}`;
    setting.desk.accept(web.id, written);
    expect(setting.desk.pending()).toEqual([]);
    expect(admit('manual')).toMatchObject({ agentKey: guest.agentKey, epoch: 1 });
    expect(setting.audited()).toEqual([`accepted ${web.id}`]);
  });

  it('pins a changed key, and voids what was for the old one', () => {
    admit('first-use');
    const other = new TestGuest();
    expect(() => admit('first-use', other.login, web, other)).toThrow(code('key-changed'));
    expect(setting.desk.accept(web.id, other.agentKey)).toMatchObject({ epoch: 2 });
    expect(admit('first-use', other.login, web, other).agentKey).toBe(other.agentKey);
    expect(() => admit('first-use')).toThrow(code('key-changed'));
  });

  it('lifts a suspension, for the key that is pinned', () => {
    admit('first-use');
    setting.vms.suspend(web.id, { at: 1, reason: 'a clone' });
    expect(admit('first-use').suspended?.reason).toBe('a clone');
    setting.desk.accept(web.id, guest.agentKey);
    expect(admit('first-use')).not.toHaveProperty('suspended');
  });

  it('is not taken for a key that nobody showed, nor for less than a key', () => {
    expect(() => admit('manual')).toThrow();
    expect(() => setting.desk.accept(db.id, guest.agentKey)).toThrow(code('not-pending'));
    expect(() => setting.desk.accept(web.id, 'f'.repeat(64))).toThrow(code('not-pending'));
    for (const short of ['', guest.agentKey.slice(1), `${guest.agentKey}0`, 'x'.repeat(64)])
      expect(() => setting.desk.accept(web.id, short)).toThrow(code('bad-fingerprint'));
    expect(setting.vms.list()).toEqual([]);
  });

  it('forgets a key: then the guest is enrolled by the mode, in a later epoch', () => {
    admit('first-use');
    setting.desk.reset(web.id);
    expect(setting.vms.find(web.id)?.resetAt).toBe(setting.now);
    expect(() => admit('manual')).toThrow(code('not-enrolled'));
    const reinstalled = new TestGuest();
    const again = admit('first-use', reinstalled.login, web, reinstalled);
    expect(again).toMatchObject({ agentKey: reinstalled.agentKey, epoch: 2 });
    expect(again).not.toHaveProperty('resetAt');
    expect(setting.audited()).toEqual([`enrolled ${web.id}`, `reset ${web.id}`, `enrolled ${web.id}`]);
    expect(() => setting.desk.reset(db.id)).toThrow(code('not-known'));
  });

  it('stands in the audit log, which the journal of actions still holds for whole', () => {
    admit('first-use');
    setting.desk.reset(web.id);
    setting.desk.createToken(web.id);
    expect(setting.journal.verify()).toBeUndefined();
  });
});

describe('a damaged row', () => {
  it('is not handed out', () => {
    expect(() => admit('manual')).toThrow();
    const { name, socket } = web;
    const { login } = guest;
    const damaged = { vm: web.id, name, socket, login, agentKey: 'short', reason: '', lastSeen: 1 };
    setting.enrolments.addPending(damaged);
    expect(() => setting.desk.pending()).toThrow(code('corrupt'));
  });
});

describe('a disk that takes no writes', () => {
  const onFullDisk = (login = guest.login, by = guest) => {
    const { vms, enrolments } = setting;
    const fails = () => {
      throw new StoreError('write-failed', 'the disk is full: make room');
    };
    enrolments.change = fails;
    const parts = {
      vms,
      enrolments,
      clock: () => setting.now,
      logger: { info: () => undefined, warn: () => undefined },
    };
    return new EnrolmentGate({ ...parts, mode: 'first-use' }).admit(web, login, by.parties);
  };

  it('keeps nobody out whose key is pinned, and lets nobody else in', () => {
    expect(() => onFullDisk()).toThrow(code('write-failed'));
    const before = admit('first-use');
    setting.now += 1;
    expect(onFullDisk()).toMatchObject({ id: web.id, agentKey: guest.agentKey, epoch: before.epoch });
    const other = new TestGuest();
    expect(() => onFullDisk(other.login, other)).toThrow(code('write-failed'));
    setting.desk.reset(web.id);
    expect(() => onFullDisk()).toThrow(code('write-failed'));
  });
});
