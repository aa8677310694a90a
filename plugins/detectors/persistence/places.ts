/** Where a Linux system looks for what it starts by itself, and in which format. README.md has the table. */
import { parseDisplayed } from 'lazaret/plugin';
import type { Origin, Parser } from './entry.ts';
import { parseAptHooks } from './formats/apt.ts';
import { parseAnacrontab, parseSystemCrontab, parseUserCrontab } from './formats/cron.ts';
import { parseDesktopEntry } from './formats/desktop.ts';
import { parseInittab } from './formats/inittab.ts';
import { parseEnvironment, parsePreload } from './formats/loader.ts';
import { parseModprobe, parseModules } from './formats/modules.ts';
import { parsePam } from './formats/pam.ts';
import { scriptParser } from './formats/script.ts';
import { parseAuthorizedKeys, parseSshdConfig } from './formats/ssh.ts';
import { parseUnit } from './formats/systemd.ts';
import { parseUdevRules } from './formats/udev.ts';

export interface Place {
  readonly format: string;
  readonly at: RegExp;
  readonly parse: Parser;
  /** A file here serves many ends at once. */
  readonly isShared: boolean;
  /** Scripts are run here, and so are programs. */
  readonly isRun: boolean;
}

const HOME = '(?:/root|/(?:home|opt|srv|var)(?:/[^/]+){1,4})';
const CONFIG = '(?:/etc|/run|(?:/usr)?/lib|/usr/local/lib)';
const UNIT = '[^/]+[.](?:service|socket|path|timer|mount|swap|automount)(?:[.]d/[^/]+[.]conf)?';
const UNITS = '(?:system|user)(?:[.]control|[.]attached)?|transient|generator(?:[.]early|[.]late)?';

/** A directory of files that each stand for one thing. */
const own = (format: string, at: string, parse: Parser): Place => ({
  format,
  at: new RegExp(`^(?:${at})$`),
  parse,
  isShared: false,
  isRun: false,
});
const shared = (format: string, at: string, parse: Parser): Place => ({
  ...own(format, at, parse),
  isShared: true,
});

const scripts = (format: string, at: string, technique: string): Place => ({
  ...own(format, at, scriptParser(technique)),
  isRun: true,
});

export const PLACES: readonly Place[] = [
  shared('crontab', '/etc/crontab', parseSystemCrontab),
  own('cron.d', '/etc/cron[.]d/[^/]+', parseSystemCrontab),
  shared('anacrontab', '/etc/anacrontab', parseAnacrontab),
  shared('user-crontab', '/var/spool/cron/(?:crontabs/|tabs/)?[^/]+|/etc/crontabs/[^/]+', parseUserCrontab),
  scripts('cron-script', '/etc/cron[.](?:hourly|daily|weekly|monthly|yearly)/[^/]+', 'T1053.003'),
  scripts('at-job', '/var/spool/(?:cron/atjobs|at|atjobs)/[^/]+', 'T1053.002'),
  own(
    'systemd-unit',
    `${CONFIG}/systemd/(?:${UNITS})/${UNIT}|${HOME}/[.](?:config|local/share)/systemd/user/${UNIT}|/usr/share/systemd/user/${UNIT}`,
    parseUnit,
  ),
  shared('systemd-manager', `${CONFIG}/systemd/(?:system|user)[.]conf(?:[.]d/[^/]+[.]conf)?`, parseUnit),
  scripts(
    'systemd-hook',
    `${CONFIG}/systemd/(?:(?:system|user)-(?:environment-)?generators|system-(?:sleep|shutdown))/[^/]+`,
    'T1543.002',
  ),
  shared('ld.so.preload', '/etc/ld[.]so[.]preload', parsePreload),
  shared(
    'environment',
    `/etc/environment|${CONFIG}/environment[.]d/[^/]+[.]conf|${HOME}/[.]config/environment[.]d/[^/]+[.]conf|${HOME}/[.](?:pam_environment|ssh/environment)`,
    parseEnvironment,
  ),
  shared('inittab', '/etc/inittab', parseInittab),
  shared('rc.local', '/etc/(?:rc[.]d/)?rc[.]local', scriptParser('T1037.004')),
  scripts('rc-script', '/etc/(?:rc[.]d/)?(?:init[.]d|rc[0-6S][.]d)/[^/]+|/etc/local[.]d/[^/]+', 'T1037.004'),
  shared(
    'shell-start',
    `/etc/(?:profile|bashrc|bash[.]bashrc|bash[.]bash_logout|z(?:shrc|shenv|profile|login|logout)|zsh/[^/]+)|${HOME}/[.](?:bashrc|bash_(?:profile|login|logout|aliases)|profile|z(?:shrc|shenv|profile|login|logout)|xprofile|xsession|xsessionrc|xinitrc|ssh/rc)|/etc/ssh/sshrc`,
    scriptParser('T1546.004'),
  ),
  scripts(
    'shell-start-part',
    `/etc/(?:profile[.]d|bash_completion[.]d|update-motd[.]d|X11/Xsession[.]d|fish/conf[.]d)/[^/]+|${HOME}/[.]config/fish/conf[.]d/[^/]+`,
    'T1546.004',
  ),
  shared(
    'authorized-keys',
    `${HOME}/[.]ssh/authorized_keys2?|/etc/ssh/authorized_keys(?:/[^/]+)?`,
    parseAuthorizedKeys,
  ),
  shared('sshd-config', '/etc/ssh/sshd_config(?:[.]d/[^/]+[.]conf)?', parseSshdConfig),
  shared('modprobe', `${CONFIG}/modprobe[.]d/[^/]+[.]conf`, parseModprobe),
  shared('modules', '/etc/modules', parseModules),
  own('modules-load', `${CONFIG}/modules-load[.]d/[^/]+[.]conf`, parseModules),
  own('udev-rules', `${CONFIG}/udev/rules[.]d/[^/]+[.]rules`, parseUdevRules),
  own('xdg-autostart', `(?:/etc/xdg|${HOME}/[.]config)/autostart/[^/]+[.]desktop`, parseDesktopEntry),
  shared('pam', `/etc/pam[.]d/[^/]+|/usr/lib/pam[.]d/[^/]+|/etc/pam[.]conf`, parsePam),
  shared(
    'apt-hooks',
    '/etc/apt/apt[.]conf(?:[.]d/[^/]+)?|/etc/dpkg/dpkg[.]cfg(?:[.]d/[^/]+)?',
    parseAptHooks,
  ),
  scripts(
    'network-hook',
    '/etc/network/if-(?:pre-up|up|down|post-down)[.]d/[^/]+|(?:/etc|/usr/lib)/NetworkManager/dispatcher[.]d/(?:[^/]+/)?[^/]+|/etc/dhcp/dhclient-(?:enter|exit)-hooks[.]d/[^/]+|(?:/etc|/usr/lib)/networkd-dispatcher/[^/]+/[^/]+|/etc/ppp/ip-(?:up|down)[.]d/[^/]+',
    'T1546',
  ),
];

/** Every place has this in it: with one look most files are told to be at none. */
const ANY =
  /^\/(?:etc\/|var\/spool\/|(?:run|(?:usr\/)?(?:local\/)?lib|usr\/share)\/(?:systemd|udev|mod|environment|pam|[Nn]etwork))|\/[.](?:bash|config|local|pam|profile|ssh|x|z)/;
const VENDOR = /^(?:\/usr)?\/lib\//;

/** Undefined for a file that is at no such place. `path` is escaped for display. */
export const placeOf = (path: string): Place | undefined =>
  ANY.test(path) ? PLACES.find(({ at }) => at.test(path)) : undefined;

/** What comes with packages serves them, although it starts what somebody replaced. */
export const isShared = (place: Place, path: string): boolean => place.isShared || VENDOR.test(path);

const IN_HOME = new RegExp(`^(${HOME})/[.]`);
const CRONTAB = /^\/var\/spool\/cron\/(?:crontabs\/|tabs\/)?([^/]+)$/;

/** The file that is parsed, in bytes as its text is. `shown` is escaped for display. */
export function originOf(shown: string): Origin {
  const path = parseDisplayed(shown).toString('latin1');
  const user = CRONTAB.exec(path)?.[1];
  const home = user === undefined ? IN_HOME.exec(path)?.[1] : user === 'root' ? '/root' : `/home/${user}`;
  return { path, ...(home !== undefined && { home }) };
}
