/** What the well-known programs of a command line do with it: which of its words is what they run. */
export interface Wrapper {
  /** Letters of the options that take the next word. */
  readonly takes: string;
  /** Words before the command. */
  readonly skips: number;
}

const wrapper = (takes = '', skips = 0): Wrapper => ({ takes, skips });

/** Programs that run the command that follows. */
export const WRAPPERS: ReadonlyMap<string, Wrapper> = new Map([
  ['builtin', wrapper()],
  ['busybox', wrapper()],
  ['chroot', wrapper('', 1)],
  ['chrt', wrapper('TPD', 1)],
  ['command', wrapper()],
  ['doas', wrapper('uC')],
  ['env', wrapper('uCS')],
  ['exec', wrapper('a')],
  ['flock', wrapper('wE', 1)],
  ['ionice', wrapper('cnpP')],
  ['nice', wrapper('n')],
  ['nohup', wrapper()],
  ['runuser', wrapper('ugGs')],
  ['setsid', wrapper()],
  ['stdbuf', wrapper('ioe')],
  ['sudo', wrapper('ugpCcDhRrtTU')],
  ['systemd-cat', wrapper('tpP')],
  ['systemd-run', wrapper('upEtHM')],
  ['taskset', wrapper('', 1)],
  ['time', wrapper('fo')],
  ['timeout', wrapper('ks', 1)],
  ['xargs', wrapper('adEILnPs')],
]);

/** Programs that run the text after `-c`. */
export const SHELLS = new Set('sh bash dash zsh ksh ash fish'.split(' '));
export const RUNS_TEXT = new Set([...SHELLS, 'su', 'runuser', 'flock', 'script', 'sg']);
/** Programs that run the file that is their first argument. */
export const INTERPRETERS =
  /^(?:python[\d.]*|perl[\d.]*|ruby[\d.]*|php[\d.]*|node|nodejs|lua[\d.]*|tclsh|java)$/;
export const SOURCES = new Set(['.', 'source']);
export const LOADS_MODULE = new Set(['insmod']);
/** start-stop-daemon(8): options that name the program. */
export const DAEMON_OPTIONS = new Set(['-x', '--exec', '-a', '--startas']);

/** What stands beside the command that a file is there for: without that, it serves nothing. */
export const COMPANIONS = new Set(
  `: [ [[ alias awk base64 basename bind break cat cd chattr chmod chown cp curl cut date declare dirname echo exit export false
  for function grep head hostname id in install kill killall let ln local ls mkdir mktemp mv pgrep pidof pkill printf ps
  read readlink readonly return rm sed set shift shopt sleep sort stty tail test touch tr trap true type typeset ulimit
  umask uname unset usleep case wait wc wget which`.split(/\s+/),
);

export const baseName = (word = ''): string => word.slice(word.lastIndexOf('/') + 1);
