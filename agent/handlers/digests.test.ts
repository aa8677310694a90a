import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TestAgent } from '../testing/tree.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

describe('digests', () => {
  it('are those of the contents, in the order asked for, with the facts of what was read', async () => {
    await using agent = await TestAgent.start();
    const contents = [0, 1, 256 * 1024, 700_000].map((size) => randomBytes(size));
    for (const [index, content] of contents.entries()) writeFileSync(join(agent.root, `f${index}`), content);
    const host = await agent.session('query:content');
    const lines = await host.digests(contents.map((_, index) => ({ path: `/f${index}` })));
    expect(lines).toMatchObject([
      ...contents.map((content, index) => ({
        type: 'digest',
        index,
        sha256: sha256(content),
        facts: { size: content.length },
      })),
      { type: 'end' },
    ]);
  });

  it('fail alone for what is no regular file, is gone, or is too large', async () => {
    await using agent = await TestAgent.start();
    execFileSync('mkfifo', [join(agent.root, 'fifo')]);
    writeFileSync(join(agent.root, 'large'), 'large');
    writeFileSync(join(agent.root, 'good'), 'yes');
    const host = await agent.session('query:content');
    const paths = ['/fifo', '/gone', '/large', '/good'];
    const lines = await host.digests(
      paths.map((path) => ({ path })),
      3,
    );
    expect(lines).toMatchObject([
      { type: 'failure', failure: { reason: 'not-regular' } },
      { type: 'failure', failure: { reason: 'vanished' } },
      { type: 'failure', failure: { reason: 'too-large' } },
      { type: 'digest', index: 3 },
      { type: 'end' },
    ]);
  });

  it('are not given to whom they were not granted, nor to a malformed request', async () => {
    await using agent = await TestAgent.start();
    const listing = await agent.session('query:files');
    await expect(listing.digests([{ path: '/x' }])).rejects.toMatchObject({
      refusal: { code: 'not-granted' },
    });
    const host = await agent.session('query:content');
    await expect(host.digests([{ path: 'relative' }])).rejects.toMatchObject({
      refusal: { code: 'bad-request' },
    });
  });
});
