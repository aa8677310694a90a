/**
 * A Debian package: a tree of files and, in its folder DEBIAN, `control` (what it is), `conffiles` (files that an
 * upgrade leaves to the administrator), `md5sums` and the scripts of its installation. dpkg-deb(1), which every
 * Debian has, packs it: in the order of names, owned by root, dated by SOURCE_DATE_EPOCH.
 * Source: https://www.debian.org/doc/debian-policy/ch-controlfields.html, deb(5)
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Entry, layOut, program, text } from './tree.ts';
import type { Release } from './version.ts';

export const MAINTAINER = 'Lazaret maintainers <maintainers@lazaret.example>';

export interface DebianPackage {
  readonly name: string;
  /** Fields of `control` besides those that follow from the rest. */
  readonly fields: Readonly<Record<string, string>>;
  /** One line, then paragraphs. */
  readonly description: readonly [string, ...string[]];
  readonly entries: readonly Entry[];
  /** Of the entries those that the administrator may change. */
  readonly conffiles: readonly string[];
  /** A folder with preinst, postinst, prerm, postrm, triggers, as far as there are. */
  readonly scripts: string;
}

/** Builds the package into `folder` and returns the file's path. */
export function buildDeb(deb: DebianPackage, release: Release, folder: string): string {
  const out = join(folder, `${deb.name}_${release.debian}_amd64.deb`);
  const stage = join(folder, `.stage-${deb.name}`);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  try {
    const entries = [...deb.entries, changelog(deb.name, release)];
    layOut(stage, entries, release.epoch);
    layOut(stage, [...controlFiles(deb, release, stage)], release.epoch);
    // The best compression would take a minute for a tenth less.
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-z1', '--build', stage, out], {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(release.epoch) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
  return out;
}

function controlFiles(deb: DebianPackage, release: Release, stage: string): Entry[] {
  const scripts = readdirSync(deb.scripts).map((name) => {
    const from = join(deb.scripts, name);
    const path = join('DEBIAN', name);
    return name === 'triggers' ? text(path, readFileSync(from)) : program(path, from);
  });
  const installed = filesOf(stage);
  const size = installed.reduce((sum, name) => sum + kibibytes(readFileSync(join(stage, name)).length), 0);
  return [
    text('DEBIAN/control', control(deb, release, size)),
    text('DEBIAN/conffiles', deb.conffiles.map((path) => `/${path}\n`).join('')),
    text('DEBIAN/md5sums', installed.map((name) => `${md5(join(stage, name))}  ${name}\n`).join('')),
    ...scripts,
  ];
}

function control({ name, fields, description }: DebianPackage, { debian }: Release, size: number): string {
  const [synopsis, ...paragraphs] = description;
  const all = {
    Package: name,
    Version: debian,
    Architecture: 'amd64',
    Maintainer: MAINTAINER,
    'Installed-Size': String(size),
    ...fields,
    Description: [synopsis, paragraphs.map((one) => ` ${one.replaceAll('\n', '\n ')}`).join('\n .\n')].join(
      '\n',
    ),
  };
  return Object.entries(all)
    .map(([field, value]) => `${field}: ${value}\n`)
    .join('');
}

/** Debian's own form of a changelog, which has to be there; what changed stands in the project's. */
function changelog(name: string, { debian, epoch }: Release): Entry {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  const content = `${name} (${debian}) unstable; urgency=medium\n\n  * Release ${debian}.\n\n -- ${MAINTAINER}  ${date}\n`;
  return text(`usr/share/doc/${name}/changelog.gz`, gzipSync(content, { level: 9 }));
}

const filesOf = (root: string): string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();

const kibibytes = (bytes: number): number => Math.ceil(bytes / 1024);
const md5 = (path: string): string => createHash('md5').update(readFileSync(path)).digest('hex');
