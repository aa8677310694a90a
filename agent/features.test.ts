import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAssignments } from './features.ts';
import { parseMountInfo } from './linux/mounts.ts';
import { TestAgent } from './testing/tree.ts';

describe('query features', () => {
  it('tells what the guest is', async () => {
    await using agent = await TestAgent.start();
    mkdirSync(join(agent.root, 'etc'));
    mkdirSync(join(agent.root, 'usr', 'lib'), { recursive: true });
    mkdirSync(join(agent.root, 'usr', 'bin'));
    mkdirSync(join(agent.root, 'run', 'systemd', 'system'), { recursive: true });
    // As in most systems: a link, which is not followed.
    symlinkSync('../usr/lib/os-release', join(agent.root, 'etc', 'os-release'));
    writeFileSync(
      join(agent.root, 'usr', 'lib', 'os-release'),
      'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n',
    );
    writeFileSync(join(agent.root, 'usr', 'bin', 'apt-get'), '');
    const features = (await (await agent.session()).features())['x-lazaret'];
    expect(features).toMatchObject({
      os: { id: 'debian', version: '12', name: 'Debian 12' },
      init: 'systemd',
      packageManager: 'apt',
    });
    expect(features.fileSystems[0]?.path).toBe('/');
  });

  it('tells what it can of a guest that says nothing', async () => {
    await using agent = await TestAgent.start();
    const features = (await (await agent.session()).features())['x-lazaret'];
    expect(features).toMatchObject({ os: { id: 'linux', version: '' }, init: 'none' });
    expect(features.packageManager).toBeUndefined();
  });
});

it('reads os-release, quoted or not, and ignores the rest', () => {
  const text = "# comment\nID=alpine\nPRETTY_NAME=\"A = 'B'\"\nnonsense\nVERSION_ID='3.20'\n__proto__=x\n";
  expect({ ...parseAssignments(text) }).toEqual({ ID: 'alpine', PRETTY_NAME: "A = 'B'", VERSION_ID: '3.20' });
});

it('reads mount points as bytes', () => {
  const text = Buffer.from(
    '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n30 22 0:25 / /mnt/a\\040b\\134\\377 rw - tmpfs tmpfs rw\n',
  );
  expect(parseMountInfo(text)).toEqual([
    { id: '22', path: Buffer.from('/'), type: 'ext4' },
    { id: '30', path: Buffer.from('/mnt/a b\\\xff', 'latin1'), type: 'tmpfs' },
  ]);
});
