/**
 * What a guest rests on is learnt from it: what its protected programs are linked with, wherever links lead. A folder
 * plays the guest, the real agent serves it.
 */
import { execFileSync } from 'node:child_process';
import { chownSync, realpathSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { need } from '../need.ts';
import { Surveyed } from './surveyed.ts';

const LOADER = '/lib64/ld-linux-x86-64.so.2';
const MULTIARCH = '/usr/lib/x86_64-linux-gnu';
const isRoot = { what: 'root', there: process.getuid?.() === 0, get: 'run it as root' };

/** A guest with /usr merged, as Debian has it since 12. */
async function merged(): Promise<Surveyed> {
  const guest = await Surveyed.guest();
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) guest.link(`/${name}`, `usr/${name}`);
  guest.program('/usr/bin/bash', { interpreter: LOADER, needs: ['libtinfo.so.6', 'libc.so.6'] });
  guest.program('/usr/sbin/sshd', { interpreter: LOADER, needs: ['libcrypto.so.3', 'libc.so.6'] });
  guest.program('/usr/bin/mount', { needs: ['libmount.so.1'] });
  guest.program('/usr/bin/unrelated', { needs: ['libunrelated.so.1', 'libc.so.6'] });
  guest.library(`${MULTIARCH}/libtinfo.so.6.3`);
  guest.link(`${MULTIARCH}/libtinfo.so.6`, 'libtinfo.so.6.3');
  guest.library(`${MULTIARCH}/libcrypto.so.3`, { needs: ['libz.so.1'] });
  guest.library(`${MULTIARCH}/libz.so.1`);
  guest.library(`${MULTIARCH}/libmount.so.1`, { needs: ['libblkid.so.1'] });
  guest.library(`${MULTIARCH}/libblkid.so.1`);
  guest.library(`${MULTIARCH}/libc.so.6`);
  guest.library(`${MULTIARCH}/libunrelated.so.1`, { needs: ['libtinfo.so.6'] });
  guest.program('/usr/lib64/ld-linux-x86-64.so.2');
  return guest;
}

describe('libraries of protected programs', () => {
  it('are protected, those of libraries too; what only others link is not', async () => {
    const guest = await merged();
    await guest.survey();
    expect(
      guest.reasons(
        ...['libtinfo.so.6', 'libtinfo.so.6.3', 'libcrypto.so.3', 'libz.so.1', 'libblkid.so.1'].map(
          (name) => `${MULTIARCH}/${name}`,
        ),
      ),
    ).toEqual({
      [`${MULTIARCH}/libtinfo.so.6`]: 'what /usr/bin/bash needs',
      [`${MULTIARCH}/libtinfo.so.6.3`]: 'what /usr/bin/bash needs',
      [`${MULTIARCH}/libcrypto.so.3`]: 'what /usr/sbin/sshd needs',
      [`${MULTIARCH}/libz.so.1`]: `what ${MULTIARCH}/libcrypto.so.3 needs`,
      [`${MULTIARCH}/libblkid.so.1`]: `what ${MULTIARCH}/libmount.so.1 needs`,
    });
    expect(guest.reason('/usr/bin/unrelated')).toBeUndefined();
    expect(guest.reason(`${MULTIARCH}/libunrelated.so.1`)).toBeUndefined();
  });

  it('are protected under every name of theirs', async () => {
    const guest = await merged();
    guest.directory('/tmp', 0o1777);
    guest.hardLink('/tmp/innocent', `${MULTIARCH}/libz.so.1`);
    guest.hardLink('/tmp/other', '/usr/bin/unrelated');
    await guest.survey();
    expect(guest.reason('/tmp/innocent')).toContain('needs');
    expect(guest.reason('/tmp/other')).toBeUndefined();
  });

  it('are found where RPATH, RUNPATH, ld.so.conf and the loader’s own levels have them', async () => {
    const guest = await merged();
    guest.file('/etc/ld.so.conf', 'include /etc/ld.so.conf.d/*.conf\n');
    guest.file('/etc/ld.so.conf.d/vendor.conf', '# of a vendor\n/opt/vendor/lib # here\nrelative\n');
    guest.program('/usr/bin/login', {
      needs: ['libset.so', 'libfast.so', 'libown.so', '/opt/direct/libdirect.so', 'liblate.so'],
      rpath: '/opt/rpath:',
      runpath: '$ORIGIN/../own/$LIB',
    });
    guest.library('/opt/vendor/lib/libset.so');
    guest.library(`${MULTIARCH}/glibc-hwcaps/x86-64-v3/libfast.so`);
    guest.library('/usr/own/lib64/libown.so', { needs: ['libfar.so'], runpath: '/opt/late' });
    guest.library('/opt/late/liblate.so');
    guest.library('/opt/direct/libdirect.so');
    guest.library('/opt/rpath/libfar.so');
    guest.library('/opt/elsewhere/libset.so');
    await guest.survey();
    for (const path of [
      '/opt/vendor/lib/libset.so',
      `${MULTIARCH}/glibc-hwcaps/x86-64-v3/libfast.so`,
      '/usr/own/lib64/libown.so',
      '/opt/direct/libdirect.so',
      '/opt/rpath/libfar.so',
      '/opt/late/liblate.so',
    ]) {
      expect(guest.reason(path), path).toContain('needs');
    }
    expect(guest.reason('/opt/elsewhere/libset.so')).toBeUndefined();
  });

  it('are learnt again as they are by then, though what was read before is known', async () => {
    const guest = await merged();
    await guest.survey();
    guest.program('/usr/bin/bash', { needs: ['libunrelated.so.1'] });
    await guest.survey();
    expect(guest.reason(`${MULTIARCH}/libunrelated.so.1`)).toBe('what /usr/bin/bash needs');
    await guest.survey();
    expect(guest.reason(`${MULTIARCH}/libunrelated.so.1`)).toBe('what /usr/bin/bash needs');
  });
});

describe('links', () => {
  it('of protected names protect what they lead to', async () => {
    const guest = await merged();
    guest.program('/opt/init/superinit', { needs: ['libsuper.so'] });
    guest.library('/usr/lib/libsuper.so');
    guest.link('/usr/sbin/init', '/etc/alternatives/init');
    guest.link('/etc/alternatives/init', '../../opt/init/./superinit');
    await guest.survey();
    expect(guest.reason('/opt/init/superinit')).toBe('the init system');
    expect(guest.reason('/usr/lib/libsuper.so')).toBe('what /opt/init/superinit needs');
  });

  it('of directories are followed: libc behind a linked /lib, modules behind a linked /boot', async () => {
    const guest = await Surveyed.guest();
    guest.link('/lib', 'system/current/lib');
    guest.link('/system/current', '/system/v2');
    guest.library('/system/v2/lib/libc.so.6');
    guest.file('/system/v2/lib/modules/6.1/kernel/fs.ko');
    guest.link('/boot', '/system/boot');
    guest.file('/system/boot/grub/grub.cfg');
    guest.file('/system/v2/other');
    await guest.survey();
    expect(
      guest.reasons(
        '/system/v2/lib/libc.so.6',
        '/system/v2/lib/modules/6.1/kernel/fs.ko',
        '/system/boot/grub/grub.cfg',
        '/system/v2/other',
      ),
    ).toEqual({
      '/system/v2/lib/libc.so.6': 'the C library or its loader',
      '/system/v2/lib/modules/6.1/kernel/fs.ko': 'a kernel module',
      '/system/boot/grub/grub.cfg': 'the kernel or what it boots with',
      '/system/v2/other': undefined,
    });
  });

  it('that loop, lead nowhere or out of the guest protect nothing, and keep nothing from being protected', async () => {
    const guest = await merged();
    guest.link('/usr/bin/sh', 'sh');
    guest.link('/usr/bin/dash', '../../../../../../../etc/hosts');
    guest.file('/etc/hosts');
    guest.link('/usr/bin/zsh', '/nowhere/at/all');
    guest.link('/usr/bin/ash', '/usr/lib');
    guest.link(`${MULTIARCH}/liba.so`, 'libb.so');
    guest.link(`${MULTIARCH}/libb.so`, 'liba.so');
    guest.program('/usr/bin/su', { needs: ['liba.so', 'libmissing.so', '../libx.so', 'libz.so.1'] });
    await guest.survey();
    expect(guest.reason(`${MULTIARCH}/libz.so.1`)).toBe('what /usr/bin/su needs');
    // As the kernel has it: `..` of the root is the root.
    expect(guest.reason('/etc/hosts')).toBe('a shell');
  });
});

describe('what a user of the guest can make', () => {
  it('is not protected for being where a protected program looks', async () => {
    const guest = await merged();
    guest.directory('/srv/open', 0o777);
    guest.directory('/srv/team', 0o775);
    guest.directory('/tmp', 0o1777);
    guest.program('/usr/bin/login', {
      needs: ['libopen.so', 'libteam.so', 'libtmp.so', 'libowned.so', 'libthrough.so'],
      runpath: '/srv/open:/srv/team:/tmp:/srv/through',
    });
    for (const path of ['/srv/open/libopen.so', '/srv/team/libteam.so', '/tmp/libtmp.so'])
      guest.library(path);
    guest.file(`${MULTIARCH}/libowned.so`, 'anyone may write to it', 0o666);
    guest.library('/srv/open/lib/libthrough.so');
    guest.link('/srv/through', '/srv/open/lib');
    await guest.survey();
    for (const path of [
      '/srv/open/libopen.so',
      '/srv/team/libteam.so',
      '/tmp/libtmp.so',
      `${MULTIARCH}/libowned.so`,
      '/srv/open/lib/libthrough.so',
    ]) {
      expect(guest.reason(path), path).toBeUndefined();
    }
  });

  it('is not protected for having the name of what is, nor for a link to it', async () => {
    const guest = await merged();
    guest.program('/home/user/bin/bash', { needs: ['libevil.so'] });
    guest.library('/home/user/lib/libtinfo.so.6', { needs: ['libevil.so'] });
    guest.library('/home/user/lib/libevil.so');
    guest.directory('/home/user/open', 0o777);
    guest.link('/home/user/open/sh', '/home/user/bin/bash');
    guest.link('/usr/lib/open', '/home/user/open');
    guest.link('/usr/bin/sh', '/usr/lib/open/sh');
    await guest.survey();
    for (const path of ['/home/user/bin/bash', '/home/user/lib/libtinfo.so.6', '/home/user/lib/libevil.so']) {
      expect(guest.reason(path), path).toBeUndefined();
    }
  });

  it('does not count where anybody can change the way to it', async () => {
    const guest = await merged();
    guest.directory('/usr', 0o777);
    await guest.survey();
    expect(guest.reason(`${MULTIARCH}/libtinfo.so.6.3`)).toBeUndefined();
    expect(guest.reason('/usr/bin/bash')).toBe('a shell');
  });

  it.runIf(need(isRoot))(
    'does not count where it is in a directory, or a file, of another user',
    async () => {
      const guest = await merged();
      guest.program('/usr/bin/login', { needs: ['libhome.so', 'libgiven.so'], runpath: '/home/user/lib' });
      guest.library('/home/user/lib/libhome.so');
      chownSync(guest.at('/home/user'), 1000, 1000);
      guest.library(`${MULTIARCH}/libgiven.so`);
      chownSync(guest.at(`${MULTIARCH}/libgiven.so`), 1000, 1000);
      await guest.survey();
      expect(guest.reason('/home/user/lib/libhome.so')).toBeUndefined();
      expect(guest.reason(`${MULTIARCH}/libgiven.so`)).toBeUndefined();
    },
  );
});

describe('distributions', () => {
  it('with /bin and /lib beside /usr', async () => {
    const guest = await Surveyed.guest();
    guest.program('/bin/bash', { needs: ['libtinfo.so.6'] });
    guest.library('/lib/x86_64-linux-gnu/libtinfo.so.6', { needs: ['libinusr.so'] });
    guest.library(`${MULTIARCH}/libinusr.so`);
    guest.program('/sbin/kmod', { needs: ['liblzma.so.5'] });
    guest.link('/sbin/modprobe', '/bin/kmod');
    guest.library('/lib/x86_64-linux-gnu/liblzma.so.5');
    await guest.survey();
    expect(
      guest.reasons('/lib/x86_64-linux-gnu/libtinfo.so.6', `${MULTIARCH}/libinusr.so`, '/sbin/kmod'),
    ).toEqual({
      '/lib/x86_64-linux-gnu/libtinfo.so.6': 'what /bin/bash needs',
      [`${MULTIARCH}/libinusr.so`]: 'what /lib/x86_64-linux-gnu/libtinfo.so.6 needs',
      '/sbin/kmod': 'what mounts file systems or loads kernel modules',
    });
    expect(guest.reason('/lib/x86_64-linux-gnu/liblzma.so.5')).toBe('what /sbin/kmod needs');
  });

  it('with all in /usr/bin and /usr/lib, or in lib64', async () => {
    const arch = await Surveyed.guest();
    for (const [name, target] of [
      ['/bin', 'usr/bin'],
      ['/sbin', 'usr/bin'],
      ['/usr/sbin', 'bin'],
      ['/lib', 'usr/lib'],
      ['/lib64', 'usr/lib'],
      ['/usr/lib64', 'lib'],
    ] as const) {
      arch.link(name, target);
    }
    arch.program('/usr/bin/bash', { needs: ['libreadline.so.8'] });
    arch.library('/usr/lib/libreadline.so.8.2');
    arch.link('/usr/lib/libreadline.so.8', 'libreadline.so.8.2');
    await arch.survey();
    expect(arch.reason('/usr/lib/libreadline.so.8.2')).toBe('what /usr/bin/bash needs');

    const fedora = await Surveyed.guest();
    fedora.link('/lib64', 'usr/lib64');
    fedora.program('/usr/bin/rpm', { needs: ['librpm.so.9'] });
    fedora.library('/usr/lib64/librpm.so.9', { needs: ['libsqlite3.so.0'] });
    fedora.library('/usr/lib64/libsqlite3.so.0');
    await fedora.survey();
    expect(fedora.reason('/usr/lib64/libsqlite3.so.0')).toBe('what /usr/lib64/librpm.so.9 needs');
  });

  it('with musl and busybox', async () => {
    const guest = await Surveyed.guest();
    guest.file('/etc/ld-musl-x86_64.path', '/lib:/usr/local/lib\n/opt/musl/lib\n');
    guest.program('/lib/ld-musl-x86_64.so.1');
    guest.link('/lib/libc.musl-x86_64.so.1', 'ld-musl-x86_64.so.1');
    guest.program('/bin/busybox', {
      interpreter: '/lib/ld-musl-x86_64.so.1',
      needs: ['libc.musl-x86_64.so.1'],
    });
    guest.link('/bin/sh', '/bin/busybox');
    guest.program('/sbin/apk', { needs: ['libapk.so.2', 'libodd.so'] });
    guest.library('/lib/libapk.so.2', { needs: ['libcrypto.so.3'] });
    guest.library('/usr/lib/libcrypto.so.3');
    guest.library('/opt/musl/lib/libodd.so');
    guest.library('/usr/lib/libcurl.so.4');
    await guest.survey();
    expect(
      guest.reasons(
        '/lib/libapk.so.2',
        '/usr/lib/libcrypto.so.3',
        '/opt/musl/lib/libodd.so',
        '/usr/lib/libcurl.so.4',
      ),
    ).toEqual({
      '/lib/libapk.so.2': 'what /sbin/apk needs',
      '/usr/lib/libcrypto.so.3': 'what /lib/libapk.so.2 needs',
      '/opt/musl/lib/libodd.so': 'what /sbin/apk needs',
      '/usr/lib/libcurl.so.4': undefined,
    });
  });

  it('with a store, where links of root lead to what is in use (NixOS)', async () => {
    const guest = await Surveyed.guest();
    const store = (name: string) => `/nix/store/abc-${name}`;
    guest.program(store('bash-5.2/bin/bash'), {
      interpreter: store('glibc-2.40/lib/ld-linux-x86-64.so.2'),
      needs: ['libreadline.so.8', 'libc.so.6'],
      runpath: `${store('readline-8/lib')}:${store('glibc-2.40/lib')}`,
    });
    guest.program(store('glibc-2.40/lib/ld-linux-x86-64.so.2'));
    guest.library(store('glibc-2.40/lib/libc.so.6'));
    guest.library(store('readline-8/lib/libreadline.so.8'));
    guest.program(store('systemd-256/lib/systemd/systemd'));
    guest.file(store('nixos-system/init'), '#!/bin/sh\n', 0o755);
    guest.link(store('nixos-system/sw'), store('system-path'));
    guest.link(store('nixos-system/systemd'), store('systemd-256'));
    guest.link(store('nixos-system/kernel'), store('linux-6.6/bzImage'));
    guest.file(store('linux-6.6/bzImage'));
    guest.link(store('system-path/bin/bash'), store('bash-5.2/bin/bash'));
    guest.link('/run/current-system', store('nixos-system'));
    guest.link('/bin/sh', store('bash-5.2/bin/bash'));
    // Any user can have the store take this in.
    guest.program('/nix/store/evil-bash-5.2/bin/bash', { needs: ['libevil.so'] });
    guest.directory('/nix/store', 0o1775);
    await guest.survey();
    expect(
      guest.reasons(
        store('bash-5.2/bin/bash'),
        store('glibc-2.40/lib/ld-linux-x86-64.so.2'),
        store('glibc-2.40/lib/libc.so.6'),
        store('readline-8/lib/libreadline.so.8'),
        store('systemd-256/lib/systemd/systemd'),
        store('nixos-system/init'),
        store('linux-6.6/bzImage'),
        '/nix/store/evil-bash-5.2/bin/bash',
      ),
    ).toEqual({
      [store('bash-5.2/bin/bash')]: 'a shell',
      [store('glibc-2.40/lib/ld-linux-x86-64.so.2')]: `what ${store('bash-5.2/bin/bash')} needs`,
      [store('glibc-2.40/lib/libc.so.6')]: `what ${store('bash-5.2/bin/bash')} needs`,
      [store('readline-8/lib/libreadline.so.8')]: `what ${store('bash-5.2/bin/bash')} needs`,
      [store('systemd-256/lib/systemd/systemd')]: 'the init system',
      [store('nixos-system/init')]: 'the init system',
      [store('linux-6.6/bzImage')]: 'the kernel or what it boots with',
      '/nix/store/evil-bash-5.2/bin/bash': undefined,
    });
  });

  it('with a store and a profile (Guix)', async () => {
    const guest = await Surveyed.guest();
    guest.program('/gnu/store/x-sudo/sbin/sudo', {
      needs: ['libpcre2-8.so'],
      runpath: '/gnu/store/x-pcre/lib',
    });
    guest.library('/gnu/store/x-pcre/lib/libpcre2-8.so');
    guest.link('/gnu/store/x-profile/sbin', '/gnu/store/x-sudo/sbin');
    guest.link('/gnu/store/x-system/profile', '/gnu/store/x-profile');
    guest.link('/run/current-system', '/var/guix/profiles/system');
    guest.link('/var/guix/profiles/system', 'system-1-link');
    guest.link('/var/guix/profiles/system-1-link', '/gnu/store/x-system');
    guest.directory('/gnu/store', 0o1775);
    await guest.survey();
    expect(guest.reason('/gnu/store/x-sudo/sbin/sudo')).toBe('login or a change of privileges');
    expect(guest.reason('/gnu/store/x-pcre/lib/libpcre2-8.so')).toBe(
      'what /gnu/store/x-sudo/sbin/sudo needs',
    );
  });
});

describe('this machine', () => {
  const programs =
    '/bin/bash /bin/login /bin/mount /usr/bin/dpkg /usr/bin/apt-get /usr/sbin/sshd /bin/su /bin/systemctl'
      .split(' ')
      .filter((path) => statSync(path, { throwIfNoEntry: false }));

  it.runIf(need({ program: 'ldd', get: 'install the C library’s tools' }))(
    'rests on all that ldd names, and on nothing of what it does not need',
    async () => {
      const guest = await Surveyed.guest('/');
      await guest.survey();
      expect(programs).not.toEqual([]);
      const listed = execFileSync('ldd', programs, { encoding: 'utf8' });
      const libraries = [...listed.matchAll(/(?:=>\s+|^\s+)(\/\S+) \(0x/gm)].map(
        ([, path]) => path as string,
      );
      expect(libraries.length).toBeGreaterThan(programs.length);
      for (const path of [...programs, ...libraries]) {
        expect(guest.reason(realpathSync(path)), path).toBeDefined();
      }
      expect(guest.reason(realpathSync('/usr/bin/env'))).toBeUndefined();
      expect(guest.reason(realpathSync(process.execPath))).toBeUndefined();
    },
  );
});
