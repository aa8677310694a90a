/** The agent for guests, as a Debian package and as an archive for every other Linux. */
import { execFileSync } from 'node:child_process';
import { createReadStream, createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { copyright } from './copyright.ts';
import type { DebianPackage } from './deb.ts';
import { type Entry, file, layOut, program, text } from './tree.ts';
import type { Release } from './version.ts';

const DOC = 'usr/share/doc/lazaret-agent';
const PARTS = [
  'Bun, which the executable contains: MIT, its JavaScriptCore: LGPL-2',
  'zod, yaml, @peculiar/x509 and what they need: MIT, ISC, BSD-3-Clause',
];

interface Sources {
  readonly executable: string;
  readonly unit: string;
  readonly configuration: string;
  readonly readme: string;
}

const sourcesIn = (root: string): Sources => ({
  executable: join(root, 'dist', 'lazaret-agent'),
  unit: join(root, 'config', 'systemd', 'lazaret-agent.service'),
  configuration: join(root, 'packaging', 'agent', 'lazaret-agent.yaml'),
  readme: join(root, 'agent', 'README.md'),
});

export function agentPackage(root: string): DebianPackage {
  const { executable, unit, configuration, readme } = sourcesIn(root);
  return {
    name: 'lazaret-agent',
    fields: {
      Section: 'admin',
      Priority: 'optional',
      Depends: 'libc6 (>= 2.17)',
      Recommends: 'systemd, udev',
    },
    description: [
      'agent of Lazaret for guests under KVM',
      'Answers the Lazaret engine on the host over the virtio port\norg.lazaret.agent.0: it lists files and processes, sends contents, and carries\nout the instructions that were granted. It needs no network and no signatures.',
      'It starts when the host gives the guest that port, and stays idle without it.',
    ],
    entries: [
      program('usr/bin/lazaret-agent', executable),
      file('etc/lazaret-agent.yaml', configuration),
      file('usr/lib/systemd/system/lazaret-agent.service', unit),
      file(
        'usr/share/lintian/overrides/lazaret-agent',
        join(root, 'packaging', 'agent', 'lintian-overrides'),
      ),
      file(join(DOC, 'README.md'), readme),
      text(join(DOC, 'copyright'), copyright(PARTS)),
    ],
    conffiles: ['etc/lazaret-agent.yaml'],
    scripts: join(root, 'packaging', 'agent', 'DEBIAN'),
  };
}

/** Builds lazaret-agent-VERSION-linux-x64.tar.gz into `folder` and returns its path. */
export async function buildArchive(root: string, release: Release, folder: string): Promise<string> {
  const name = `lazaret-agent-${release.version}-linux-x64`;
  const stage = join(folder, '.stage-archive');
  const tar = join(folder, `.${name}.tar`);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  try {
    layOut(stage, archiveEntries(root, name), release.epoch);
    // Names in one order, owned by root, in the oldest form that everything unpacks.
    const order = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
    execFileSync('tar', [...order, `--mtime=@${release.epoch}`, '-C', stage, '-cf', tar, name]);
    const out = join(folder, `${name}.tar.gz`);
    await pipeline(createReadStream(tar), createGzip({ level: 6 }), createWriteStream(out));
    return out;
  } finally {
    rmSync(stage, { recursive: true, force: true });
    rmSync(tar, { force: true });
  }
}

function archiveEntries(root: string, name: string): Entry[] {
  const { executable, unit, configuration, readme } = sourcesIn(root);
  return [
    program(join(name, 'lazaret-agent'), executable),
    file(join(name, 'lazaret-agent.service'), unit),
    file(join(name, 'lazaret-agent.yaml'), configuration),
    file(join(name, 'INSTALL.md'), join(root, 'packaging', 'agent', 'INSTALL.md')),
    file(join(name, 'README.md'), readme),
    file(join(name, 'LICENSE'), join(root, 'LICENSE')),
  ];
}
