/** The command line of enrolment on a state directory, and the gate that guests meet there. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EnrolmentSetting, TestGuest } from '../../test/enrolment-setting.ts';
import type { Domain } from '../channel/session.ts';
import { bareSocket } from '../hypervisor/sockets.ts';
import type { Io } from './io.ts';
import { runCommandLine } from './program.ts';

const web: Domain = bareSocket('/run/web.sock', 'web');

let setting: EnrolmentSetting;
let config: string;
beforeEach(async () => {
  setting = new EnrolmentSetting();
  setting.now = Date.now();
  config = join(setting.directory, 'lazaret.yaml');
  const text = `state: ${setting.directory}\nvms:\n  - {name: web, socket: /run/web.sock}\n`;
  await writeFile(config, text, { mode: 0o600 });
});
afterEach(() => setting[Symbol.dispose]());

async function lazaret(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const text = { out: '', err: '' };
  const output = (to: 'out' | 'err') => ({
    stream: new Writable(),
    write: (written: string) => {
      text[to] += written;
    },
    isTTY: false,
    columns: 200,
  });
  const io: Io = {
    ...{ stdout: output('out'), stderr: output('err'), env: {}, exitCode: -1 },
    ...{ onHangup: () => () => undefined, onInterrupt: () => () => undefined, abort: () => undefined },
  };
  const none = () => Promise.reject(new Error('not asked for'));
  await setting.apart(() =>
    runCommandLine(['enrol', ...args, '--config', config], '1.2.3', {
      ...{ io, startEngine: none, startHost: none, plugins: none, catalogue: none },
    }),
  );
  return { code: io.exitCode, ...text };
}

const admit = (guest: TestGuest, login = guest.login) =>
  setting.gate('token').admit(web, login, guest.parties);

describe('lazaret enrol', () => {
  it('makes a token with which the VM is enrolled, and says each way to hand it in', async () => {
    const { code, out } = await lazaret('web');
    expect(code).toBe(0);
    const [token = ''] = out.split('\n');
    expect(token).toMatch(/^lazaret1_[a-z2-7]{32}$/);
    for (const way of [
      `<oemStrings><entry>io.systemd.credential:lazaret.enrolment=${token}</entry></oemStrings>`,
      `<sysinfo type='fwcfg'><entry name='opt/org.lazaret/enrolment'>${token}</entry></sysinfo>`,
      `-smbios type=11,value=io.systemd.credential:lazaret.enrolment=${token}\n`,
      `-fw_cfg name=opt/org.lazaret/enrolment,string=${token}\n`,
      '/var/lib/lazaret-agent/enrolment-token\n',
    ])
      expect(out).toContain(way);
    const guest = new TestGuest();
    expect(admit(guest, guest.having(token)).name).toBe('web');
  });

  it('makes one for a domain that was never met, by its UUID, for as long as it is told', async () => {
    const uuid = '4C4C4544-0042-3510-8054-B7C04F564432';
    const { out } = await lazaret(uuid, '--expires', '30min', '--json');
    const { vm, token, expires } = JSON.parse(out);
    expect(vm).toBe(uuid.toLowerCase());
    expect(expires - Date.now()).toBeLessThanOrEqual(30 * 60_000);
    expect(setting.enrolments.tokensOf(vm)).toMatchObject([{ expires }]);
    expect(out).not.toBe(token);
  });

  it('lists who waits, and lets in whom it is told', async () => {
    expect(await lazaret('--pending')).toMatchObject({
      code: 0,
      out: '',
      err: 'nobody waits to be enrolled\n',
    });
    const guest = new TestGuest();
    expect(() => admit(guest)).toThrow(expect.objectContaining({ code: 'not-enrolled' }));
    const { out } = await lazaret('--pending');
    expect(out).toMatch(new RegExp(`^VM +FINGERPRINT .*\\nweb +${guest.agentKey} +not-enrolled .* 1\\n$`));
    const json = JSON.parse((await lazaret('--pending', '--json')).out);
    expect(json).toMatchObject({ name: 'web', agentKey: guest.agentKey, agentId: guest.login.agent.id });
    expect(await lazaret('web', '--accept', 'f'.repeat(64))).toMatchObject({ code: 1, out: '' });
    expect(await lazaret('web', '--accept', guest.agentKey)).toMatchObject({ code: 0 });
    expect(admit(guest).agentKey).toBe(guest.agentKey);
  });

  it('forgets a key when it is told', async () => {
    const guest = new TestGuest();
    setting.gate('first-use').admit(web, guest.login, guest.parties);
    expect(await lazaret('web', '--reset')).toMatchObject({
      code: 0,
      out: expect.stringContaining('forgotten'),
    });
    expect(() => admit(guest)).toThrow(expect.objectContaining({ code: 'not-enrolled' }));
    expect(setting.vms.find(web.id)?.resetAt).toBeDefined();
  });

  it('shows a hostile name harmless', async () => {
    const guest = new TestGuest();
    const hostile = { ...web, id: 'x', name: '\x1b[31mweb' };
    expect(() => setting.gate('manual').admit(hostile, guest.login, guest.parties)).toThrow();
    expect((await lazaret('--pending')).out).not.toContain('\x1b');
  });

  it.each([
    [[], 64],
    [['nobody'], 64],
    [['web', '--pending'], 64],
    [['web', '--accept', 'f', '--reset'], 64],
    [['web', '--expires', 'soon'], 64],
    [['web', '--expires', '30min', '--reset'], 64],
    [['web', '--expires', '1s'], 1],
    [['web', '--accept', 'short'], 1],
    [['web', '--reset'], 1],
  ])('%j exits with %i', async (args, code) => {
    const outcome = await lazaret(...args);
    expect(outcome).toMatchObject({ code, out: '' });
    expect(outcome.err).not.toBe('');
  });
});
