/**
 * What is never removed, stopped or moved, whatever was found in it (invariant I): that which a guest needs to
 * boot, to be logged into and to be reached by us. A finding in it is reported and nothing else.
 *
 * A file is protected by its path and, once a name of it was observed, by its inode: another name of the same
 * file (a hard link in /tmp, a path through a symbolic link) is the same file. Patterns are matched on the
 * bytes of the path, after `/usr` is taken off where distributions merged it (/usr/bin is /bin).
 */
import {
  decodeBytes,
  type FileTarget,
  type GuestPath,
  type Instruction,
  type ProcessLine,
  type ProcessTarget,
  type WireBytes,
} from '../../protocol/index.ts';

const PROTECTED: readonly (readonly [what: string, pattern: RegExp])[] = [
  [
    'the init system',
    /^\/s?bin\/(init|telinit|systemctl|systemd-[^/]+|runit(-init)?|openrc(-init|-run)?|dinit|s6-svscan)$|^\/lib\/systemd\/systemd(-[^/]+)?$|^\/lib[^/]*\/([^/]+\/)?systemd\/libsystemd-[^/]+$/,
  ],
  [
    'the C library or its loader',
    /^\/lib[^/]*\/([^/]+\/)?(ld|ld-linux[^/.]*|ld-musl[^/.]*|lib(c|m|dl|pthread|rt|resolv|crypt|util|gcc_s|selinux|systemd|nss_[^/.]+))([-.][^/]*)?\.so(\.[0-9.]+)?$|^\/lib\/libc\.musl-[^/]+$|^\/etc\/ld\.so\.(cache|conf)$/,
  ],
  ['the kernel or what it boots with', /^\/boot(\/|$)|^\/(vmlinuz|initrd\.img)(\.old)?$/],
  ['a kernel module', /^\/lib\/modules(\/|$)/],
  ['a shell', /^\/bin\/(r?bash|sh|ash|dash|zsh[^/]*|m?ksh[^/]*|fish|t?csh|busybox)$/],
  [
    'login or a change of privileges',
    /^\/s?bin\/(sudo|su|doas|login|nologin|sulogin|runuser|passwd|newgrp|pkexec|a?getty|mingetty|unix_chkpwd|pam_[^/]+)$|^\/lib[^/]*\/([^/]+\/)?(security\/[^/]+|libpam[^/]*)\.so[^/]*$|^\/etc\/(pam\.d(\/|$)|(pam\.conf|passwd|shadow|group|gshadow|sudoers|nsswitch\.conf|fstab)$)/,
  ],
  [
    'the package manager',
    /^\/s?bin\/(dpkg[^/]*|apt[^/]*|rpm[^/]*|dnf[^/]*|microdnf|yum|zypper|apk|pacman)$|^\/lib\/(apt|rpm)(\/|$)|^\/var\/lib\/(dpkg|rpm|pacman)(\/|$)|^\/lib\/apk\/db(\/|$)/,
  ],
  ['the SSH server', /^\/s?bin\/sshd$|^\/lib(exec)?\/(open)?ssh\/[^/]+$/],
  [
    'the Lazaret agent',
    /^\/(usr\/local\/|opt\/lazaret\/)?(s?bin|lib[^/]*)\/lazaret-agent[^/]*$|^\/usr\/[^/]+\/lazaret-agent[^/]*$|^\/(var\/lib|etc|lib)\/lazaret-agent(\/|$)/,
  ],
];

/**
 * Where protected files lie. A scan that looks elsewhere only lists these as well, so that it recognises
 * another name of one of them.
 */
export const PROTECTED_ROOTS: readonly string[] = [
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
  '/usr/bin',
  '/usr/sbin',
  '/usr/lib',
  '/usr/lib64',
  '/usr/libexec',
  '/boot',
];

/** The list for one guest, which learns from that guest's inventory. */
export class NeverTouch {
  private readonly operatorPaths: readonly string[];
  private readonly inodes = new Map<string, string>();
  private readonly processes = new Map<string, string>();

  /** `operatorPaths`: files, and directories with all below them, that the operator protects besides. */
  constructor(operatorPaths: readonly GuestPath[] = []) {
    this.operatorPaths = operatorPaths.map((path) => comparable(path.bytes));
  }

  /** Learns a file of the inventory. */
  observe(path: GuestPath, dev: string, ino: string): void {
    const what = this.whatIsAt(path.bytes);
    if (what !== undefined) this.inodes.set(inodeKey(dev, ino), what);
  }

  /**
   * Learns a process that runs what is protected. Its path counts where the guest's own namespace has it there, or had
   * it before an update took it away; what else a process may be made to show is worth nothing, and no path of a process
   * makes a file protected: of files the listing tells.
   */
  observeProcess({ pid, start, executable }: Extract<ProcessLine, { type: 'process' }>): void {
    if (!executable?.placed || executable.inMemory) return;
    const what = this.whatIsAt(decodeBytes(executable.path));
    if (what !== undefined) this.processes.set(processKey(pid, start), what);
  }

  /** Why an instruction must not be given, or undefined when it may. */
  reason(instruction: Instruction): string | undefined {
    switch (instruction.name) {
      case 'stop:process':
        return this.processReason(instruction.target);
      case 'contain:file':
      case 'delete:file':
        return this.fileReason(instruction.target);
      case 'update:file':
        // A new content in its place is what patches are for; nothing in its place is a removal.
        return instruction.target.content === null ? this.pathReason(instruction.target.path) : undefined;
      case 'restore:file':
        return undefined;
    }
  }

  fileReason({ path, dev, ino }: FileTarget): string | undefined {
    return this.pathReason(path) ?? sentence('file', this.inodes.get(inodeKey(dev, ino)));
  }

  processReason({ pid, start, executable }: ProcessTarget): string | undefined {
    if (pid === 1) return sentence('process', 'the first one of the guest (pid 1)');
    if (executable.ino === '0') return sentence('process', 'a kernel thread');
    const what =
      this.processes.get(processKey(pid, start)) ?? this.inodes.get(inodeKey(executable.dev, executable.ino));
    return sentence('process', what);
  }

  private pathReason(path: WireBytes): string | undefined {
    return sentence('file', this.whatIsAt(decodeBytes(path)));
  }

  private whatIsAt(path: Buffer): string | undefined {
    const name = comparable(path);
    for (const [what, pattern] of PROTECTED) if (pattern.test(name)) return what;
    return this.operatorPaths.some((own) => name === own || name.startsWith(own === '/' ? own : `${own}/`))
      ? 'protected by the operator'
      : undefined;
  }
}

/** One character a byte; slashes single; without the /usr that distributions merged. */
function comparable(path: Buffer): string {
  const name = path.toString('latin1').replace(/\/{2,}/g, '/');
  const trimmed = name.length > 1 && name.endsWith('/') ? name.slice(0, -1) : name;
  return trimmed.replace(/^\/usr(?=\/(s?bin|lib[^/]*)(\/|$))/, '');
}

const inodeKey = (dev: string, ino: string): string => `${dev}:${ino}`;
const processKey = (pid: number, start: string): string => `${pid}@${start}`;

const sentence = (kind: 'file' | 'process', what: string | undefined): string | undefined =>
  what === undefined ? undefined : `this ${kind} is never touched: it is ${what}`;
