/** The agent's archive, as whoever unpacks it sees it. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../demo/package-root.ts';
import { need } from '../test/need.ts';
import { buildArchive } from './agent.ts';

const RELEASE = { version: '1.2.3', debian: '1.2.3', epoch: 1_700_000_000 };
const NAME = 'lazaret-agent-1.2.3-linux-x64';
const ready = need({
  what: 'the packed agent',
  there: existsSync(join(packageRoot, 'dist', 'lazaret-agent')),
  get: 'npm run build:agent',
});

describe.runIf(ready)("the agent's archive", { timeout: 60_000 }, () => {
  let directory: string;
  let archive: string;

  const build = (folder: string): Promise<string> => {
    mkdirSync(join(directory, folder));
    return buildArchive(packageRoot, RELEASE, join(directory, folder));
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'archive-'));
    archive = await build('first');
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('has what INSTALL.md installs, owned by root', () => {
    const lines = execFileSync('tar', ['-tvzf', archive], { encoding: 'utf8' }).trim().split('\n');
    const files = lines.filter((line) => !line.startsWith('d')).map((line) => line.replace(/^.* /, ''));
    const named = ['INSTALL.md', 'LICENSE', 'README.md', 'lazaret-agent', 'lazaret-agent.service'];
    named.push('lazaret-agent.yaml');
    expect(files.toSorted()).toEqual(named.map((name) => `${NAME}/${name}`).toSorted());
    expect(lines.filter((line) => !/ (root\/root|0\/0) /.test(line))).toEqual([]);
    const guide = readFileSync(join(packageRoot, 'packaging', 'agent', 'INSTALL.md'), 'utf8');
    for (const [, name] of guide.matchAll(/^install -m \d+ (\S+) /gm)) expect(named).toContain(name);
  });

  it('has a program that runs where it is unpacked', () => {
    execFileSync('tar', ['-xzf', archive, '-C', directory]);
    const answer = execFileSync(join(directory, NAME, 'lazaret-agent'), ['--version'], { encoding: 'utf8' });
    expect(answer).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('is made of the same bytes each time', async () => {
    expect(readFileSync(await build('second')).equals(readFileSync(archive))).toBe(true);
  });

  it('fails, and leaves nothing, where the agent was not built', async () => {
    await expect(buildArchive(directory, RELEASE, join(directory, 'first'))).rejects.toThrow('ENOENT');
    expect(existsSync(join(directory, 'first', '.stage-archive'))).toBe(false);
  });
});
