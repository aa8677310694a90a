/**
 * What protection begins with, in any guest: programs and files that guests need to boot, to be logged into and to
 * be reached by us, by where distributions put them. What those programs need in turn is learnt from each guest
 * (`core/scan/survey/`). Patterns are matched on the bytes of a path, after `/usr` is taken off where
 * distributions merged it (/usr/bin is /bin).
 *
 * Nothing below /nix/store or /gnu/store is protected by its path: their daemons let any user put there what they
 * like, under a name of their choice. What lies there is protected where links that root made lead to it.
 */
export interface ProtectedKind {
  readonly what: string;
  readonly pattern: RegExp;
  /** Its programs and modules are loaded with libraries, without which they do not work. */
  readonly isLinked: boolean;
}

const linked = (what: string, pattern: RegExp): ProtectedKind => ({ what, pattern, isLinked: true });
const kept = (what: string, pattern: RegExp): ProtectedKind => ({ what, pattern, isLinked: false });

export const PROTECTED: readonly ProtectedKind[] = [
  linked(
    'the init system',
    /^\/s?bin\/(init|telinit|systemctl|systemd-[^/]+|udevadm|udevd|runit(-init)?|runsv(dir)?|openrc(-[^/]+)?|dinit|s6-[^/]+|shepherd)$|^\/lib\/systemd\/systemd(-[^/]+)?$|^\/lib[^/]*\/([^/]+\/)?systemd\/libsystemd-[^/]+$|^\/run\/(current|booted)-system\/init$/,
  ),
  linked(
    'the C library or its loader',
    /^\/lib[^/]*\/([^/]+\/)?(ld|ld-linux[^/.]*|ld-musl[^/.]*|lib(c|m|dl|pthread|rt|resolv|crypt|util|gcc_s|selinux|systemd|nss_[^/.]+))([-.][^/]*)?\.so(\.[0-9.]+)?$|^\/lib\/libc\.musl-[^/]+$|^\/etc\/(ld\.so\.(cache|conf)|ld-musl-[^/]+\.path)$/,
  ),
  kept(
    'the kernel or what it boots with',
    /^\/boot(\/|$)|^\/(vmlinuz|initrd\.img)(\.old)?$|^\/run\/(current|booted)-system\/(kernel|initrd)$/,
  ),
  kept('a kernel module', /^\/lib\/modules(\/|$)/),
  linked(
    'what mounts file systems or loads kernel modules',
    /^\/s?bin\/(u?mount(\.[^/]+)?|kmod|insmod|rmmod|lsmod|modprobe|modinfo|depmod|fsck(\.[^/]+)?|e2fsck|xfs_repair|btrfs|swapo(n|ff)|switch_root|pivot_root|cryptsetup|lvm)$/,
  ),
  linked(
    'a shell',
    /^\/bin\/((r?bash|sh|ash|dash|m?ksh[^/]*|lksh|yash|fish|t?csh|busybox|toybox)([-.]static)?|zsh[^/]*|sash|static-sh)$/,
  ),
  linked(
    'login or a change of privileges',
    /^\/s?bin\/(sudo(-rs|edit)?|visudo|su(-rs)?|doas|login|nologin|sulogin|runuser|passwd|chpasswd|newgrp|pkexec|a?getty|mingetty|unix_(chkpwd|update)|pam_[^/]+)$|^\/lib[^/]*\/([^/]+\/)?(security\/[^/]+|libpam[^/]*)\.so[^/]*$|^\/lib(exec)?\/sudo\/[^/]+$|^\/etc\/(pam\.d(\/|$)|(pam\.conf|passwd|shadow|group|gshadow|sudoers|nsswitch\.conf|fstab|login\.defs)$)/,
  ),
  linked(
    'the package manager',
    /^\/s?bin\/(dpkg[^/]*|apt[^/]*|rpm[^/]*|dnf[^/]*|microdnf|yum|zypper|apk(\.static)?|pacman[^/]*|xbps-[^/]+|emerge|nix(-[^/]+)?|guix(-daemon)?)$|^\/lib\/(apt|rpm)(\/|$)|^\/var\/lib\/(dpkg|rpm|pacman)(\/|$)|^\/lib\/(apk\/db|sysimage\/rpm)(\/|$)/,
  ),
  linked(
    'the SSH server',
    /^\/s?bin\/sshd(-[^/]+)?$|^\/lib(exec)?\/(open)?ssh\/[^/]+$|^\/etc\/ssh\/(sshd_config|ssh_host_[^/]+)$/,
  ),
  linked(
    'the Lazaret agent',
    /^\/(usr\/local\/|opt\/lazaret\/)?(s?bin|lib[^/]*)\/lazaret-agent[^/]*$|^\/usr\/[^/]+\/lazaret-agent[^/]*$|^\/(var\/lib|lib)\/lazaret-agent(\/|$)|^\/etc\/lazaret-agent(\.[^/]+|-[^/]+)?(\/|$)/,
  ),
  kept(
    'what starts the Lazaret agent',
    /^\/(usr\/local\/lib|lib|etc|run)\/systemd\/system(\.control)?\/([^/]+\.(wants|requires)\/)?lazaret-agent\.service(\.d(\/|$)|$)|^\/(lib|etc|run)\/udev\/rules\.d\/[^/]*lazaret[^/]*\.rules$|^\/etc\/(init\.d|conf\.d|default|sysconfig|sv|runit\/sv)\/lazaret-agent(\/|$)/,
  ),
];

/** A directory whose files are looked at, as if it had another name where it is no directory that all guests have. */
export interface ProtectedPlace {
  readonly path: string;
  readonly as: string;
}

const place = (path: string): ProtectedPlace => ({ path, as: path });
const inUsrToo = (paths: readonly string[]): string[] => paths.flatMap((path) => [path, `/usr${path}`]);

const MULTIARCH = ['x86_64-linux-gnu', 'i386-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf'];
const LIBRARY_PLACES = ['/lib', '/lib32', '/lib64', '/libx32', ...MULTIARCH.map((name) => `/lib/${name}`)];
const CPU_LEVELS = ['x86-64-v2', 'x86-64-v3', 'x86-64-v4'];

/** Where loaders look for libraries that are named without a path, as glibc, musl and distributions set them. */
export const LIBRARY_DIRECTORIES: readonly string[] = [
  ...inUsrToo(LIBRARY_PLACES),
  ...inUsrToo(['/lib64', '/lib', '/lib/x86_64-linux-gnu']).flatMap((path) =>
    CPU_LEVELS.map((level) => `${path}/glibc-hwcaps/${level}`),
  ),
  '/usr/local/lib',
  '/usr/local/lib64',
];

/** Where a NixOS or Guix system is, by links that root alone makes. */
const SYSTEMS = [
  '/run/current-system',
  '/run/booted-system',
  '/nix/var/nix/profiles/system',
  '/var/guix/profiles/system',
];

const systemPlaces = (system: string): ProtectedPlace[] => [
  { path: system, as: '/run/current-system' },
  ...['sw', 'profile'].flatMap((profile) =>
    ['bin', 'sbin', 'lib', 'libexec'].map((name) => ({
      path: `${system}/${profile}/${name}`,
      as: `/${name}`,
    })),
  ),
];

const systemTrees = (system: string): ProtectedPlace[] => [
  { path: `${system}/systemd/lib/systemd`, as: '/lib/systemd' },
  { path: `${system}/kernel-modules/lib/modules`, as: '/lib/modules' },
  { path: `${system}/sw/lib/security`, as: '/lib/security' },
];

/** Directories whose own files and links are looked at. */
export const PROTECTED_PLACES: readonly ProtectedPlace[] = [
  ...['/', '/etc', '/etc/ssh', '/etc/init.d', '/etc/conf.d', '/usr', '/usr/local'].map(place),
  ...inUsrToo(['/bin', '/sbin', '/libexec', ...LIBRARY_PLACES]).map(place),
  ...['/usr/local/bin', '/usr/local/sbin', '/usr/local/lib', '/opt/lazaret/bin'].map(place),
  ...['/etc/systemd/system', '/etc/udev/rules.d'].map(place),
  ...inUsrToo(['/lib/systemd/system', '/lib/udev/rules.d']).map(place),
  ...['/var/lib/dpkg', '/var/lib/rpm', '/usr/lib/sysimage/rpm'].map(place),
  ...SYSTEMS.flatMap(systemPlaces),
  { path: '/run/wrappers/bin', as: '/bin' },
];

/** Directories that are looked at with all below them. */
export const PROTECTED_TREES: readonly ProtectedPlace[] = [
  ...['/boot', '/etc/pam.d', '/etc/lazaret-agent', '/etc/systemd/system/lazaret-agent.service.d'].map(place),
  ...inUsrToo(['/lib/modules', '/lib/apt', '/lib/rpm', '/lib/apk/db', '/lib/lazaret-agent']).map(place),
  ...inUsrToo(['/lib/openssh', '/lib/ssh', '/libexec/openssh', '/lib/sudo', '/libexec/sudo']).map(place),
  ...inUsrToo(LIBRARY_PLACES.flatMap((path) => [`${path}/systemd`, `${path}/security`])).map(place),
  ...SYSTEMS.flatMap(systemTrees),
];
