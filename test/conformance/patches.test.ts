import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'vitest';
import filePolicy from '../../plugins/patches/file-policy/index.ts';
import { patchSuite } from '../../testkit/index.ts';

const fixture = (...names: string[]): string =>
  path.join(import.meta.dirname, '../../plugins/patches/file-policy/fixtures', ...names);

const guestWith = (config: string): Record<string, string> => ({
  '/etc/ssh/sshd_config': readFileSync(fixture('sshd', config), 'utf8'),
  '/etc/ssh/sshd_config.d/50-cloud-init.conf': 'PasswordAuthentication no\n',
});

const cases = patchSuite({
  plugin: filePolicy,
  bundle: fixture('bundles', 'ssh.yaml'),
  faulty: fixture('bundles', 'faulty.yaml'),
  foreign: fixture('sshd', 'weak.conf'),
  weak: guestWith('weak.conf'),
  malformed: guestWith('malformed.conf'),
});

describe(`${filePolicy.meta.id} as a source of patches`, () => {
  for (const { name, run } of cases) it(name, run);
});
