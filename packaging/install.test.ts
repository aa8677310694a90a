/** The packages as dpkg installs, upgrades, removes and purges them, in a Debian of their own (chroot). */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtPackage, debianNeeds, debianParts, packageNeed } from '../test/guest/debian/parts.ts';
import { need } from '../test/need.ts';
import { buildDeb } from './deb.ts';
import { type Entry, text as entry } from './tree.ts';

const host = builtPackage('lazaret');
const ready = need(...debianNeeds(), packageNeed('lazaret'));
const WANTS = 'etc/systemd/system/multi-user.target.wants/lazaret.service';

describe.runIf(ready)('dpkg', { timeout: 120_000 }, () => {
  let directory: string;
  let root: string;

  const at = (path: string): string => join(root, path);
  const text = (path: string): string => readFileSync(at(path), 'utf8');
  const isThere = (path: string): boolean => lstatSync(at(path), { throwIfNoEntry: false }) !== undefined;
  const inside = (...command: string[]): string =>
    execFileSync('chroot', [root, ...command], {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const install = (...debs: string[]): string => {
    const names = debs.map((_, index) => `/package-${index}.deb`);
    debs.forEach((deb, index) => {
      copyFileSync(deb, at(`package-${index}.deb`));
    });
    return inside('dpkg', '--install', '--force-unsafe-io', '--force-confold', ...names);
  };
  const groupsOf = (user: string): string[] => inside('id', '--name', '--groups', user).trim().split(' ');

  const libvirt = (): string => {
    const rule = entry('usr/share/polkit-1/rules.d/60-libvirt.rules', '');
    return standIn(directory, 'libvirt-daemon-system', [rule], 'groupadd --system libvirt-qemu\n');
  };

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'install-'));
    root = join(directory, 'root');
    execFileSync('cp', ['--archive', debianParts().debian, root]);
    install(...['libvirt0', 'procps'].map((name) => standIn(directory, name, [], '')));
  }, 60_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('installs the host: a user of its own in the groups of libvirt, and a service that starts with the machine', () => {
    install(host);
    expect(text('etc/passwd')).toMatch(/^lazaret:.*:\/var\/lib\/lazaret:\/usr\/sbin\/nologin$/m);
    expect(groupsOf('lazaret')).toEqual(['lazaret', 'libvirt']);
    expect(isThere(WANTS)).toBe(true);
    expect(inside('lazaret', '--version')).toMatch(/^\d+\.\d+\.\d+/);
  });

  it("lets it into the group of the guests' channels when libvirt is installed later", () => {
    install(libvirt());
    expect(groupsOf('lazaret')).toEqual(['lazaret', 'libvirt', 'libvirt-qemu']);
  });

  it('keeps what the administrator configured over an upgrade, and a service that was switched off', () => {
    appendFileSync(at('etc/lazaret/lazaret.yaml'), '# mine\n');
    inside('systemctl', 'disable', 'lazaret.service');
    install(host);
    expect(text('etc/lazaret/lazaret.yaml')).toMatch(/# mine\n$/);
    expect(isThere(WANTS)).toBe(false);
  });

  it('removes all of the host but what was taken out of guests', () => {
    inside('mkdir', '-p', '/var/lib/lazaret/vault', '/var/log/lazaret');
    writeFileSync(at('var/lib/lazaret/vault/held'), 'a file of a guest');
    inside('dpkg', '--purge', 'lazaret');
    for (const path of ['etc/lazaret', 'usr/lib/lazaret', 'usr/bin/lazaret', 'var/log/lazaret']) {
      expect(isThere(path), path).toBe(false);
    }
    expect(text('var/lib/lazaret/vault/held')).toBe('a file of a guest');
  });

  it('lets it into that group when both are installed in one go, and the host is configured first', () => {
    inside('dpkg', '--purge', 'libvirt-daemon-system');
    inside('userdel', 'lazaret');
    inside('groupdel', 'libvirt-qemu');
    install(host, libvirt());
    expect(groupsOf('lazaret')).toEqual(['lazaret', 'libvirt', 'libvirt-qemu']);
  });

  it('installs the agent, which starts with its port, and removes all of it', () => {
    install(builtPackage('lazaret-agent'));
    const wants = String.raw`etc/systemd/system/dev-virtio\x2dports-org.lazaret.agent.0.device.wants/lazaret-agent.service`;
    expect(isThere(wants)).toBe(true);
    inside('mkdir', '-p', '/var/lib/lazaret-agent');
    inside('dpkg', '--purge', 'lazaret-agent');
    for (const path of [wants, 'etc/lazaret-agent.yaml', 'usr/bin/lazaret-agent', 'var/lib/lazaret-agent']) {
      expect(existsSync(at(path)), path).toBe(false);
    }
  });
});

/** A package of that name in place of Debian's, which would come from a mirror with all that it depends on. */
function standIn(directory: string, name: string, entries: readonly Entry[], postinst: string): string {
  const scripts = join(directory, `${name}-scripts`);
  mkdirSync(scripts, { recursive: true });
  writeFileSync(join(scripts, 'postinst'), `#!/bin/sh\nset -e\n${postinst}`);
  const deb = { name, fields: {}, description: ['a stand-in'] as const, entries, conffiles: [], scripts };
  return buildDeb(deb, { version: '1', debian: '1', epoch: 1_700_000_000 }, directory);
}
