/** Real guests under QEMU, enrolled by the token in their firmware: without a network, and without a hand in them. */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConnectedGuest, connectGuest } from '../../core/capability/connect.ts';
import { type Identity, loadIdentity } from '../../core/channel/identity.ts';
import { handInWays } from '../../core/cli/enrol-ways.ts';
import type { LiveKeys } from '../../core/enrolment/live-keys.ts';
import { findGuestParts } from '../../demo/guest/parts.ts';
import { bootGuest, type GuestRequest, type QemuGuest } from '../../demo/guest/qemu.ts';
import { installSystem } from '../../demo/guest/system.ts';
import { PACKED_AGENT } from '../../demo/stage.ts';
import { INSTRUCTION_NAMES } from '../../protocol/index.ts';
import { EnrolmentSetting } from '../enrolment-setting.ts';
import { need } from '../need.ts';

const { parts, missing } = findGuestParts();
const ready = need(
  { what: 'a virtual machine', there: !missing, get: (missing ?? []).map(({ get }) => get).join('; ') },
  { what: 'the packed agent', there: existsSync(PACKED_AGENT), get: 'npm run build:agent' },
);

describe.runIf(ready)('a real guest', { timeout: 300_000 }, () => {
  let directory: string;
  let setting: EnrolmentSetting;
  let identity: Identity;
  let live: LiveKeys;
  let open: AsyncDisposableStack;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lazaret-enrol-guest-'));
    setting = new EnrolmentSetting();
    setting.now = Date.now();
    identity = await loadIdentity(setting.directory);
    live = setting.liveKeys();
    open = new AsyncDisposableStack();
  });
  afterEach(async () => {
    await open.disposeAsync();
    setting[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  async function boot(name: string, request: Partial<GuestRequest>): Promise<QemuGuest> {
    if (!parts) throw new Error('no virtual machine');
    const [tree, below] = [join(directory, `${name}-tree`), join(directory, name)];
    for (const folder of [tree, below]) mkdirSync(folder);
    installSystem(tree, parts, PACKED_AGENT);
    const guest = await bootGuest({ parts, tree, directory: below, ...request });
    open.defer(() => guest.close());
    return guest;
  }

  async function connect(id: string, { socket, uuid }: QemuGuest): Promise<ConnectedGuest> {
    const guest = await connectGuest(
      { id, name: id, socket, uuid },
      {
        identity,
        enrolments: setting.vms,
        policy: { allow: INSTRUCTION_NAMES },
        needs: INSTRUCTION_NAMES,
        clock: Date.now,
        gate: setting.gate('token'),
        liveKeys: live,
      },
    );
    open.defer(() => guest.session.close());
    return guest;
  }

  it('is enrolled by a token in fw_cfg, under its own domain alone', async () => {
    const { token } = setting.desk.createToken('web');
    const firmware = handInWays(token).qemuFwCfg.split(' ');
    const web = await boot('web', { firmware, modules: ['qemu_fw_cfg'] });
    await expect(connect('db', web)).rejects.toThrow(expect.objectContaining({ code: 'token-foreign' }));
    const { session, vm } = await connect('web', web);
    expect(vm.login.smbiosUuid).toBe(web.uuid);
    await session.close();
    await expect(connect('db', web)).rejects.toThrow(expect.objectContaining({ code: 'token-foreign' }));
    expect(setting.vms.list()).toMatchObject([{ id: 'web', agentKey: vm.agentKey }]);
  });

  it('is enrolled by a token in SMBIOS, and so is its clone, which makes a key of its own', async () => {
    const { token } = setting.desk.createToken('web');
    const web = await boot('web', { firmware: handInWays(token).qemuSmbios.split(' ') });
    const { session, vm } = await connect('web', web);
    await session.close();
    await web.ask('sync');
    const copy = join(directory, 'copy.img');
    copyFileSync(web.image, copy);

    const other = setting.desk.createToken('db').token;
    const db = await boot('db', {
      firmware: handInWays(other).qemuSmbios.split(' '),
      prepareImage: async (image) => copyFileSync(copy, image),
    });
    const [original, clone] = [await connect('web', web), await connect('db', db)];
    expect(original.vm.agentKey).toBe(vm.agentKey);
    expect(clone.vm.agentKey).not.toBe(vm.agentKey);
    expect(clone.vm.login.agent.id).not.toBe(vm.login.agent.id);
    for (const guest of [original, clone]) expect(guest.whySuspended?.()).toBeUndefined();
    const madeFor = await db.read('/var/lib/lazaret-agent/smbios-uuid');
    expect(madeFor?.toString()).toBe(`${db.uuid}\n`);
  });
});
