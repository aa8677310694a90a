import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Outcome, UpdateTarget } from '../../protocol/index.ts';
import type { TestHost } from '../testing/host.ts';
import { sha256, TestAgent } from '../testing/tree.ts';

async function update(host: TestHost, target: UpdateTarget, content?: string): Promise<Outcome> {
  if (content !== undefined) await host.stage(sha256(content), Buffer.from(content));
  return host.send({ name: 'update:file', target });
}

const OLD = 'PermitRootLogin yes\n';
const NEW = 'PermitRootLogin no\n';

describe('update:file', () => {
  it('replaces a file whose content is known, and keeps what else it was', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'sshd_config');
    writeFileSync(path, OLD);
    chmodSync(path, 0o640);
    const host = await agent.session('update:file');
    const target = { path: '/sshd_config', expect: sha256(OLD), content: sha256(NEW) };
    expect(await update(host, target, NEW)).toEqual({ code: 'done' });
    expect(readFileSync(path, 'utf8')).toBe(NEW);
    expect(statSync(path).mode & 0o7777).toBe(0o640);
    expect(readdirSync(agent.root)).toEqual(['sshd_config']);
  });

  it('leaves a file that is not as expected', async () => {
    await using agent = await TestAgent.start();
    writeFileSync(join(agent.root, 'f'), 'edited by hand');
    const host = await agent.session('update:file');
    const target = { path: '/f', expect: sha256(OLD), content: sha256(NEW) };
    expect(await update(host, target, NEW)).toMatchObject({ code: 'changed' });
    expect(readFileSync(join(agent.root, 'f'), 'utf8')).toBe('edited by hand');
    expect(await update(host, { ...target, path: '/g' }, NEW)).toMatchObject({ code: 'vanished' });
    mkdirSync(join(agent.root, 'd'));
    expect(await update(host, { ...target, path: '/d' }, NEW)).toMatchObject({ code: 'changed' });
    expect(readdirSync(agent.root).sort()).toEqual(['d', 'f']);
  });

  it('creates a file where none is, and removes it again', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'new.conf');
    const host = await agent.session('update:file');
    const create = { path: '/new.conf', expect: null, content: sha256(NEW), mode: 0o600 };
    expect(await update(host, create, NEW)).toEqual({ code: 'done' });
    expect(readFileSync(path, 'utf8')).toBe(NEW);
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    expect(await update(host, create, NEW)).toMatchObject({ code: 'occupied' });

    const wrong = { path: '/new.conf', expect: sha256(OLD), content: null };
    expect(await update(host, wrong)).toMatchObject({ code: 'changed' });
    expect(readFileSync(path, 'utf8')).toBe(NEW);
    expect(await update(host, { ...wrong, expect: sha256(NEW) })).toEqual({ code: 'done' });
    expect(readdirSync(agent.root)).toEqual([]);
  });

  it('needs its content staged, with the hash that it has', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('update:file');
    const target = { path: '/f', expect: null, content: sha256(NEW) };
    expect(await update(host, target)).toMatchObject({ code: 'not-staged' });
    await expect(host.stage(sha256(NEW), Buffer.from('else'))).rejects.toMatchObject({
      refusal: { code: 'bad-request' },
    });
    expect(readdirSync(join(agent.agent.state, 'staged'))).toEqual([]);
  });

  it('forgets what was staged when the session ends', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('update:file');
    await host.stage(sha256(NEW), Buffer.from(NEW));
    await host.close();
    const next = await agent.session('update:file');
    const target = { path: '/f', expect: null, content: sha256(NEW) };
    expect(await update(next, target)).toMatchObject({ code: 'not-staged' });
    expect(readdirSync(join(agent.agent.state, 'staged'))).toEqual([]);
  });
});
