import { describe, expect, it } from 'vitest';
import { containerOf, parseCgroup } from './container.ts';

const ID = '0123456789abcdef'.repeat(4);
const POD = 'kubepods-burstable-pod5759a1ae_36ca_48a8_b20a_b0b5c8a90fb8.slice';

describe('the container of a process', () => {
  it.each([
    [`0::/system.slice/docker-${ID}.scope`, 'docker', ID],
    [`0::/docker/${ID}`, 'docker', ID],
    [`12:memory:/docker/${ID}\n1:name=systemd:/docker/${ID}\n`, 'docker', ID],
    [`0::/kubepods.slice/kubepods-burstable.slice/${POD}/cri-containerd-${ID}.scope`, 'cri-containerd', ID],
    [`0::/kubepods.slice/kubepods-burstable.slice/${POD}/crio-${ID}.scope/container`, 'crio', ID],
    [`4:memory:/kubepods/burstable/pod5759a1ae-36ca-48a8-b20a-b0b5c8a90fb8/${ID}`, 'kubernetes', ID],
    [`0::/machine.slice/libpod-${ID}.scope/container`, 'libpod', ID],
    [`0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${ID}.scope`, 'libpod', ID],
    [`0::/libpod_parent/libpod-${ID}`, 'libpod', ID],
    [`0::/default/${ID}`, 'unknown', ID],
    ['0::/lxc.payload.web-1/system.slice/ssh.service', 'lxc', 'web-1'],
    ['3:cpu:/lxc/web-1', 'lxc', 'web-1'],
    ['0::/machine.slice/systemd-nspawn@build\\x2dbox.service/payload', 'systemd-nspawn', 'build-box'],
    ['0::/machine.slice/machine-build.scope', 'systemd-nspawn', 'build'],
    // The innermost one.
    [
      `0::/lxc.payload.node/kubepods/${ID}/system.slice/docker-${'f'.repeat(64)}.scope`,
      'docker',
      'f'.repeat(64),
    ],
  ])('of %s', (text, runtime, id) => {
    expect(parseCgroup(text)).toEqual({ runtime, id });
  });

  it.each([
    '0::/init.scope',
    '0::/',
    '',
    '0::/user.slice/user-1000.slice/session-2.scope',
    '0::/system.slice/docker.service',
    `0::/machine.slice/libpod-conmon-${ID}.scope`,
    '0::/lxc.monitor.web-1',
    `0::/system.slice/docker-${ID.slice(1)}.scope`,
    `0::/system.slice/docker-${ID}0.scope`,
    '0::/machine.slice/machine-a\u001b[2J.scope',
    `0::/lxc/${'n'.repeat(65)}`,
    'no line of a control group',
  ])('is none for %j', (text) => {
    expect(parseCgroup(text)).toBeUndefined();
  });

  it('is not known of a process that is not there', () => {
    expect(containerOf(0xffff_ffff)).toBeUndefined();
  });
});
