import { readFileSync } from 'node:fs';
import path from 'node:path';
import filePolicy from '../../plugins/patches/file-policy/index.ts';
import { patchSuite } from './patch.suite.ts';

const fixture = (...names: string[]): string =>
  path.join(import.meta.dirname, '../../plugins/patches/file-policy/fixtures', ...names);

const guestWith = (config: string): Record<string, string> => ({
  '/etc/ssh/sshd_config': readFileSync(fixture('sshd', config), 'utf8'),
  '/etc/ssh/sshd_config.d/50-cloud-init.conf': 'PasswordAuthentication no\n',
});

patchSuite({
  plugin: filePolicy,
  bundle: fixture('bundles', 'ssh.yaml'),
  faulty: fixture('bundles', 'faulty.yaml'),
  foreign: fixture('sshd', 'weak.conf'),
  weak: guestWith('weak.conf'),
  malformed: guestWith('malformed.conf'),
});
