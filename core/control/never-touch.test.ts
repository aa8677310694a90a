import { describe, expect, test } from 'vitest';
import { type FileTarget, GuestPath, type ProcessTarget, type WireBytes } from '../../protocol/index.ts';
import { MOST_INODES, NeverTouch } from './never-touch.ts';

const file = (path: WireBytes, ino = '7'): FileTarget => ({ path, dev: '1', ino, sha256: 'a'.repeat(64) });
const running = (over: Partial<ProcessTarget> = {}): ProcessTarget => ({
  pid: 500,
  start: '9',
  executable: { dev: '1', ino: '7' },
  ...over,
});
const path = (text: string) => GuestPath.of(text);

const TOO_MANY = 'withheld: the protected places of this guest are too many to know';

const PROTECTED = [
  '/sbin/init',
  '/usr/sbin/init',
  '/lib/systemd/systemd',
  '/usr/lib/systemd/systemd-logind',
  '/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so',
  '/lib64/ld-linux-x86-64.so.2',
  '/usr/lib/x86_64-linux-gnu/libc.so.6',
  '/lib/x86_64-linux-gnu/libc-2.31.so',
  '/lib/ld-musl-x86_64.so.1',
  '/lib/libc.musl-x86_64.so.1',
  '/boot/vmlinuz-6.1.0-18-amd64',
  '/boot/efi/EFI/debian/grubx64.efi',
  '/vmlinuz',
  '/usr/lib/modules/6.1.0/kernel/fs/ext4/ext4.ko',
  '/bin/sh',
  '/usr/bin/bash',
  '/bin/busybox',
  '/usr/bin/sudo',
  '/bin/su',
  '/bin/login',
  '/lib/x86_64-linux-gnu/security/pam_unix.so',
  '/lib/x86_64-linux-gnu/libpam.so.0',
  '/etc/pam.d/sshd',
  '/etc/shadow',
  '/usr/bin/dpkg',
  '/usr/bin/apt-get',
  '/usr/lib/apt/methods/http',
  '/usr/bin/rpm',
  '/sbin/apk',
  '/var/lib/dpkg/status',
  '/usr/sbin/sshd',
  '/usr/lib/openssh/sftp-server',
  '/usr/libexec/openssh/sshd-session',
  '/usr/sbin/lazaret-agent',
  '/usr/bin/lazaret-agent.new',
  '/usr/local/bin/lazaret-agent',
  '/usr/lib/lazaret-agent/main.js',
  '/var/lib/lazaret-agent/key.pem',
  '//bin///bash',
  '/usr/bin/mount',
  '/sbin/umount',
  '/sbin/mount.nfs',
  '/usr/bin/kmod',
  '/sbin/insmod',
  '/usr/sbin/modprobe',
  '/sbin/fsck.ext4',
  '/bin/bash-static',
  '/usr/bin/zsh-static',
  '/bin/busybox.static',
  '/sbin/apk.static',
  '/usr/bin/udevadm',
  '/usr/bin/sudo-rs',
  '/usr/libexec/sudo/sudoers.so',
  '/etc/ssh/sshd_config',
  '/usr/lib/sysimage/rpm/rpmdb.sqlite',
  '/etc/ld-musl-x86_64.path',
  '/run/current-system/init',
  '/run/current-system/kernel',
  '/etc/lazaret-agent.yaml',
  '/etc/lazaret-agent.d/more.yaml',
  '/usr/lib/systemd/system/lazaret-agent.service',
  '/etc/systemd/system/lazaret-agent.service.d/override.conf',
  '/etc/systemd/system/multi-user.target.wants/lazaret-agent.service',
  '/usr/local/lib/systemd/system/lazaret-agent.service',
  '/etc/udev/rules.d/60-lazaret-agent.rules',
  '/etc/init.d/lazaret-agent',
];

const FREE = [
  '/tmp/bash',
  '/home/x/bin/bash',
  '/usr/local/bin/bash',
  '/bin/bashful',
  '/bin/sh/x',
  '/etc/shadow.bak',
  '/etc/ld.so.preload',
  '/etc/cron.d/evil',
  '/etc/systemd/system/evil.service',
  '/usr/lib/systemd/system/evil.service',
  '/tmp/lazaret-agent',
  '/usr/lib/libcurl.so.4',
  '/usr/lib/libcx.so',
  '/var/lib/lazaret-agents',
  '/bootleg',
  '/usr/bin/mountain',
  '/home/x/mount',
  '/bin/bash-static-evil',
  '/etc/lazaret-agents',
  '/etc/systemd/system/lazaret-agent.service.evil',
  '/etc/systemd/system/evil.wants/x.service',
  '/etc/udev/rules.d/evil.rules',
  '/etc/sudoers.d/evil',
  '/etc/init.d/evil',
  '/nix/store/abc-bash-5.2/bin/bash',
  '/usr/lib/x86_64-linux-gnu/libtinfo.so.6',
];

describe('files', () => {
  const list = new NeverTouch();
  test.each(PROTECTED)('%s is protected', (name) => {
    expect(list.fileReason(file(name))).toContain('never touched');
  });
  test.each(FREE)('%s is not', (name) => {
    expect(list.fileReason(file(name))).toBeUndefined();
  });

  test('another name of a protected file is protected, once the inventory showed it', () => {
    const own = new NeverTouch();
    const hardLink = file('/tmp/.x', '55');
    expect(own.fileReason(hardLink)).toBeUndefined();
    own.observe(path('/usr/bin/bash'), '1', '55');
    expect(own.fileReason(hardLink)).toContain('a shell');
    expect(own.fileReason({ ...hardLink, dev: '2' })).toBeUndefined();
    own.observe(path('/tmp/harmless'), '1', '56');
    expect(own.fileReason(file('/tmp/.y', '56'))).toBeUndefined();
  });

  test('what a guest rests on is protected whatever its path', () => {
    const own = new NeverTouch();
    const library = file('/usr/lib/libtinfo.so.6', '60');
    expect(own.fileReason(library)).toBeUndefined();
    own.protect('1', '60', 'what /bin/bash needs');
    expect(own.fileReason(library)).toBe('this file is never touched: it is what /bin/bash needs');
    expect(own.fileReason({ ...library, ino: '61' })).toBeUndefined();
    own.protectPath(path('/usr/lib/libtinfo.so.6'), 'what /bin/bash needs');
    expect(own.fileReason({ ...library, dev: '9', ino: '61' })).toContain('what /bin/bash needs');
    expect(own.fileReason(file('/home/usr/lib/libtinfo.so.6', '61'))).toBeUndefined();
  });

  test('where it is more than can be known, every file may be one of them, and says so', () => {
    const own = new NeverTouch();
    own.missSome();
    expect(own.fileReason(file('/bin/bash'))).toContain('a shell');
    expect(own.fileReason(file('/tmp/x'))).toBe(TOO_MANY);
    expect(own.processReason(running())).toBe(TOO_MANY);
    expect(own.processReason(running({ pid: 1 }))).toContain('pid 1');
    expect(own.reason({ name: 'delete:file', target: file('/tmp/x') })).toBe(TOO_MANY);
  });

  test('no more paths are learnt than their bound', () => {
    const own = new NeverTouch();
    for (let at = 0; at < 8192; at++) own.protectPath(path(`/x/${at}`), 'needed');
    expect(own.fileReason(file('/y'))).toBeUndefined();
    own.protectPath(path('/bin/bash'), 'needed');
    expect(own.fileReason(file('/y'))).toBeUndefined();
    own.protectPath(path('/x/more'), 'needed');
    expect(own.fileReason(file('/y'))).toBe(TOO_MANY);
  });

  test('of so many inodes that a guest makes up, no more are remembered than its bound', () => {
    const own = new NeverTouch();
    const module = path('/lib/modules/x.ko');
    for (let ino = 0; ino < MOST_INODES; ino++) own.observe(module, '1', `${ino}`);
    own.observe(module, '1', '7');
    expect(own.fileReason(file('/tmp/x', `${MOST_INODES + 1}`))).toBeUndefined();
    own.observe(module, '1', `${MOST_INODES}`);
    expect(own.fileReason(file('/tmp/x', `${MOST_INODES + 1}`))).toBe(TOO_MANY);
    expect(own.fileReason(file('/tmp/x', `${MOST_INODES - 1}`))).toContain('a kernel module');
  });

  test('the operator’s paths are protected with all below them, and nothing beside them', () => {
    const own = new NeverTouch([path('/srv/shop/'), path('/opt/licence.key')]);
    expect(own.fileReason(file('/srv/shop'))).toContain('operator');
    expect(own.fileReason(file('/srv/shop/a/b'))).toContain('operator');
    expect(own.fileReason(file('/opt/licence.key'))).toContain('operator');
    expect(own.fileReason(file('/srv/shopping'))).toBeUndefined();
    expect(new NeverTouch([path('/')]).fileReason(file('/anything'))).toContain('operator');
  });

  test('bytes that are no text neither match by accident nor escape', () => {
    const inModules = { b64: Buffer.from('/lib/modules/\xff\n.ko', 'latin1').toString('base64') };
    expect(list.fileReason(file(inModules))).toContain('kernel module');
    expect(list.fileReason(file('/tmp/x\n/bin/bash'))).toBeUndefined();
    const own = new NeverTouch([GuestPath.of({ b64: Buffer.from('/x/\xff', 'latin1').toString('base64') })]);
    expect(own.fileReason(file({ b64: Buffer.from('/x/\xff/y', 'latin1').toString('base64') }))).toContain(
      'operator',
    );
    expect(own.fileReason(file('/x/ÿ'))).toBeUndefined();
  });
});

type Listed = Parameters<NeverTouch['observeProcess']>[0];

/** A process that says of itself to run `name`, as inode 7 of device 1. */
function shows(name: string, executable: Partial<NonNullable<Listed['executable']>> = {}): Listed {
  const inode = { path: name, dev: '1', ino: '7', deleted: false, inMemory: false };
  const told = { pid: 500, parent: 1, start: '9', uid: 0, name: 'x', commandLine: [] };
  return { type: 'process', ...told, executable: { ...inode, ...executable } };
}

describe('processes', () => {
  test('the first process and kernel threads are protected', () => {
    const list = new NeverTouch();
    expect(list.processReason(running({ pid: 1 }))).toContain('pid 1');
    expect(list.processReason(running({ executable: { dev: '0', ino: '0' } }))).toContain('kernel thread');
  });

  test('what runs a program is no kernel thread, whatever started it', () => {
    const list = new NeverTouch();
    list.observeProcess({ ...shows('/tmp/x', { placed: true }), parent: 2 });
    expect(list.processReason(running())).toBeUndefined();
  });

  test('what runs a protected file is protected, by whatever path it shows it', () => {
    const list = new NeverTouch();
    expect(list.processReason(running())).toBeUndefined();
    list.observe(path('/usr/sbin/sshd'), '1', '7');
    expect(list.processReason(running())).toContain('the SSH server');
  });

  test('so is what runs one that an update took away, or that the operator protects', () => {
    const list = new NeverTouch([path('/srv/shop')]);
    list.observeProcess(shows('/usr/sbin/sshd', { deleted: true, placed: true }));
    expect(list.processReason(running())).toContain('the SSH server');
    expect(list.processReason(running({ start: '4' }))).toBeUndefined();
    list.observeProcess({ ...shows('/srv/shop/till', { placed: true }), start: '5' });
    expect(list.processReason(running({ start: '5' }))).toContain('protected by the operator');
    // The same inode by another name is not made protected by a process that runs it.
    expect(list.fileReason(file('/tmp/x', '7'))).toBeUndefined();
  });

  test.each<[string, Partial<NonNullable<Listed['executable']>>]>([
    ['in a mount namespace of its own', { placed: false }],
    ['there too, with its file gone', { placed: false, deleted: true }],
    ['as an agent tells it that knows nothing of namespaces', {}],
    ['with its file gone, by such an agent', { deleted: true }],
    ['in memory alone', { deleted: true, inMemory: true, placed: true }],
  ])('what is called /usr/bin/bash %s is not protected, nor is its file', (_, executable) => {
    const list = new NeverTouch();
    list.observeProcess(shows('/usr/bin/bash', executable));
    expect(list.processReason(running())).toBeUndefined();
    expect(list.fileReason(file('/tmp/x', '7'))).toBeUndefined();
  });
});

test('an update may change a protected file, and may not remove it', () => {
  const list = new NeverTouch();
  const target = { path: '/etc/pam.d/sshd', expect: 'a'.repeat(64), content: 'b'.repeat(64) };
  expect(list.reason({ name: 'update:file', target })).toBeUndefined();
  expect(list.reason({ name: 'update:file', target: { ...target, content: null } })).toContain(
    'never touched',
  );
  expect(list.reason({ name: 'contain:file', target: file('/bin/sh') })).toContain('a shell');
  expect(list.reason({ name: 'delete:file', target: file('/bin/sh') })).toContain('a shell');
  expect(list.reason({ name: 'stop:process', target: running({ pid: 1 }) })).toContain('pid 1');
});
