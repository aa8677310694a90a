import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../protocol/index.ts';
import { TestAgent } from '../testing/tree.ts';

const textOf = (data: string): string => Buffer.from(data, 'base64').toString();

describe('pieces', () => {
  it('are those that were asked for, in their order, up to the end of the file', async () => {
    await using agent = await TestAgent.start();
    writeFileSync(join(agent.root, 'a'), '0123456789');
    writeFileSync(join(agent.root, 'b'), 'other');
    const host = await agent.session('query:content');
    const lines = await host.pieces([
      {
        path: '/a',
        pieces: [
          [4, 3],
          [0, 2],
          [8, 100],
          [10, 1],
          [LIMITS.pieceOffset, 1],
        ],
      },
      { path: '/b', pieces: [[0, 5]] },
    ]);
    expect(lines.map((line) => (line.type === 'pieces' ? line.data.map(textOf) : line.type))).toEqual([
      ['456', '01', '89', '', ''],
      ['other'],
      'end',
    ]);
  });

  it('of a file cost no more than they are, however large it is', async () => {
    await using agent = await TestAgent.start();
    const path = join(agent.root, 'sparse');
    writeFileSync(path, 'head');
    truncateSync(path, 2 ** 40);
    const host = await agent.session('query:content');
    const [line] = await host.pieces([
      {
        path: '/sparse',
        pieces: [
          [0, 4],
          [2 ** 40 - 2, 100],
        ],
      },
    ]);
    expect(line).toEqual({ type: 'pieces', index: 0, data: ['aGVhZA==', 'AAA='] });
  });

  it('of what is no regular file fail alone', async () => {
    await using agent = await TestAgent.start();
    mkdirSync(join(agent.root, 'd'));
    symlinkSync('/etc/passwd', join(agent.root, 'link'));
    writeFileSync(join(agent.root, 'a'), 'a');
    const host = await agent.session('query:content');
    const paths = ['/d', '/link', '/missing', '/a'];
    const lines = await host.pieces(paths.map((path) => ({ path, pieces: [[0, 1]] })));
    expect(lines.map((line) => (line.type === 'failure' ? line.failure.reason : line.type))).toEqual([
      'not-regular',
      'not-regular',
      'vanished',
      'pieces',
      'end',
    ]);
  });

  it('that are malformed, too many or too large are refused', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('query:content');
    const refused = (code: string) => ({ refusal: { code } });
    const many = Array.from({ length: 9 }, (_, at): [number, number] => [at, LIMITS.pieceBytes]);
    await expect(host.pieces([{ path: '/a', pieces: many }])).rejects.toMatchObject(refused('too-large'));
    const files = Array.from({ length: 65 }, () => ({ path: '/a', pieces: many.slice(0, 1) }));
    await expect(host.pieces(files)).rejects.toMatchObject(refused('too-large'));
    for (const piece of [
      [-1, 1],
      [0, 0],
      [0, LIMITS.pieceBytes + 1],
      [0.5, 1],
      [2 ** 53, 1],
    ]) {
      const pieces = [piece as [number, number]];
      await expect(host.pieces([{ path: '/a', pieces }])).rejects.toMatchObject(refused('bad-request'));
    }
    await expect(host.pieces([{ path: 'a', pieces: [[0, 1]] }])).rejects.toMatchObject(
      refused('bad-request'),
    );
    await expect(host.pieces([])).rejects.toMatchObject(refused('bad-request'));
  });

  it('are not to be had without query:content', async () => {
    await using agent = await TestAgent.start();
    const host = await agent.session('query:files');
    const refusal = { refusal: { code: 'not-granted' } };
    await expect(host.pieces([{ path: '/a', pieces: [[0, 1]] }])).rejects.toMatchObject(refusal);
  });
});
