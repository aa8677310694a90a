/** A walk by itself, over a table of mounts that the test makes up. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InventoryRequest } from '../../protocol/index.ts';
import { MountTable } from '../linux/mounts.ts';
import { Root } from '../linux/root.ts';
import { TempDirectory } from '../testing/tree.ts';
import { Walk } from './walk.ts';
import { WALK_BEGIN, type WalkProgress, type WalkState } from './walk-state.ts';

const DIRECTORIES = ['auto', 'auto/far', 'proc', 'srv', 'srv/deep', 'srv/deep/er', 'wide'];

function tree(): TempDirectory {
  const directory = new TempDirectory();
  for (const name of DIRECTORIES) {
    mkdirSync(join(directory.path, name));
    writeFileSync(join(directory.path, name, 'file'), 'x');
  }
  for (let number = 0; number < 1200; number++) writeFileSync(join(directory.path, `wide/${number}`), '');
  return directory;
}

const mount = (path: string, type: string) => ({ path: Buffer.from(path), type });

function walkOver(
  path: string,
  mounts: MountTable,
  request: Partial<InventoryRequest> = {},
  state?: WalkState,
) {
  const all = {
    roots: ['/'],
    excludes: [],
    oneFileSystem: false,
    maxEntries: 1e6,
    maxDepth: 99,
    maxSeconds: 60,
  };
  const opened: string[] = [];
  const walk = new Walk(
    { ...all, ...request },
    {
      ...{ root: new Root(path), mounts, isOwn: () => false, avoided: { mounts: [], paths: [] } },
      note: (directory) => void opened.push(directory.toString()),
      noteEntry: () => undefined,
    },
    state,
  );
  walk.resume(60_000, Number.POSITIVE_INFINITY);
  return { walk, opened };
}

const linesOf = (text: string) => text.split('\n').flatMap((line) => (line ? [JSON.parse(line)] : []));

describe('an automount', () => {
  it.each([{ fileSystems: ['ext4', 'autofs'] }, {}, { roots: ['/', '/auto', '/auto/far'] }])(
    'is never entered (%j)',
    (request) => {
      using directory = tree();
      const mounts = new MountTable([mount('/', 'ext4'), mount('/auto', 'autofs'), mount('/proc', 'proc')]);
      const { walk, opened } = walkOver(directory.path, mounts, request);
      const lines = linesOf([...walk.lines()].join(''));
      expect(opened.filter((path) => path.startsWith('/auto'))).toEqual([]);
      expect(lines).toContainEqual({ type: 'left-out', path: '/auto', fileSystem: 'autofs' });
    },
  );

  it('is told of; what the kernel shows of itself is left out without a word', () => {
    using directory = tree();
    const mounts = new MountTable([mount('/', 'ext4'), mount('/auto', 'autofs'), mount('/proc', 'proc')]);
    const { walk, opened } = walkOver(directory.path, mounts, { fileSystems: ['ext4'] });
    const told = linesOf([...walk.lines()].join('')).filter(({ type }) => type === 'left-out');
    expect(told).toEqual([{ type: 'left-out', path: '/auto', fileSystem: 'autofs' }]);
    expect(opened).not.toContain('/proc');
  });
});

/** As the agent keeps it (`Work.goneOn`). */
function after(state: WalkState, { keep, pushed, ...rest }: WalkProgress): WalkState {
  return { ...rest, stack: [...state.stack.slice(0, keep), ...pushed] };
}

describe('a walk that is gone on with by another', () => {
  it('tells of each file once, wherever the first one was lost, but for the rest of a large directory', () => {
    using directory = tree();
    const mounts = new MountTable([mount('/', 'ext4')]);
    const whole = linesOf([...walkOver(directory.path, mounts).walk.lines()].join(''));
    const filesOf = (lines: { type: string; path: string; files: [string][] }[]): string[] =>
      lines.flatMap((line) =>
        line.type === 'directory' ? line.files.map(([name]) => `${line.path}/${name}`) : [],
      );
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }), (steps) => {
        let state = WALK_BEGIN;
        let text = '';
        for (const lost of [...steps, Number.POSITIVE_INFINITY]) {
          const { walk } = walkOver(directory.path, mounts, {}, state);
          const lines = walk.lines();
          const kept = Math.max(1, lost);
          for (let step = 0, next = lines.next(); !next.done; next = lines.next()) {
            text += next.value;
            if (++step === kept) break;
          }
          if (Number.isFinite(lost)) state = after(state, walk.progress());
          // What it does behind this is lost with it.
          lines.next();
          lines.return(undefined);
          if (text.includes('"type":"end"')) break;
        }
        const told = linesOf(text);
        const files = filesOf(told);
        expect(new Set(files).size).toBe(files.length);
        const missing = filesOf(whole).filter((file) => !files.includes(file));
        const faults = told.filter(({ type }) => type === 'fault');
        expect(missing.every((file) => file.startsWith('/wide/'))).toBe(true);
        expect(faults).toEqual(
          missing.length > 0 ? [expect.objectContaining({ path: '/wide', fault: 'unresponsive' })] : faults,
        );
      }),
      { numRuns: 60 },
    );
  });
});
