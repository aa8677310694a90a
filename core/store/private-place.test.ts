import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { need } from '../../test/need.ts';
import { checkState } from '../cli/checkup.ts';
import { StateDatabase } from './database.ts';

const AS_ROOT = need({ what: 'root', there: process.geteuid?.() === 0, get: 'run the tests as root' });
const NOBODY = 65_534;

let root: string;
let state: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lazaret-private-'));
  state = join(root, 'state');
  StateDatabase.open(state).close();
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const refused = (about: string) =>
  expect.objectContaining({ code: 'not-private', message: expect.stringContaining(about) });
const open = () => StateDatabase.open(state).close();

describe('the state directory', () => {
  it('opens when all of it is ours', async () => {
    for (const name of ['vault', 'packs', 'identity', 'cache', 'spool', 'uploads'])
      mkdirSync(join(state, name), { mode: 0o700 });
    open();
    expect(await checkState(state)).toMatchObject({ status: 'ok' });
  });

  it('is refused when it is a link, wherever it leads', () => {
    renameSync(state, join(root, 'elsewhere'));
    symlinkSync(join(root, 'elsewhere'), state);
    expect(open).toThrow(refused('is a symbolic link'));
  });

  it.each(['vault', 'packs', 'identity', 'cache', 'spool', 'uploads'])(
    'is refused when its %s is a link, a file, or open to others',
    async (name) => {
      const place = join(state, name);
      const elsewhere = join(root, 'elsewhere');
      mkdirSync(elsewhere, { mode: 0o700 });
      symlinkSync(elsewhere, place);
      expect(open).toThrow(refused(`${place}, a directory of lazaret, is a symbolic link`));
      expect(await checkState(state)).toMatchObject({
        status: 'fail',
        detail: expect.stringContaining(place),
      });
      rmSync(place);
      writeFileSync(place, '');
      expect(open).toThrow(refused('is something else'));
      rmSync(place);
      mkdirSync(place);
      chmodSync(place, 0o770);
      expect(open).toThrow(refused(`chmod go-w ${place}`));
      chmodSync(place, 0o700);
      open();
    },
  );

  it.each(['lazaret.db', 'lazaret.lock', 'outbox.db', 'audit.head', 'lazaret.pid'])(
    'is refused when its %s is a link, a pipe, or open to others',
    (name) => {
      const place = join(state, name);
      const elsewhere = join(root, 'elsewhere');
      writeFileSync(elsewhere, 'precious');
      rmSync(place, { force: true });
      symlinkSync(elsewhere, place);
      expect(open).toThrow(refused(`${place}, a file of lazaret, is a symbolic link`));
      rmSync(place);
      execFileSync('mkfifo', [place]);
      expect(open).toThrow(refused('is something else'));
      rmSync(place);
      writeFileSync(place, '', { mode: 0o600 });
      chmodSync(place, 0o606);
      expect(open).toThrow(refused('can be written by others'));
    },
  );

  it.runIf(AS_ROOT)('is refused when it, or what is in it, is another user’s', async () => {
    mkdirSync(join(state, 'vault'), { mode: 0o700 });
    for (const path of [join(state, 'vault'), join(state, 'lazaret.db'), state]) {
      chownSync(path, NOBODY, NOBODY);
      expect(open, path).toThrow(refused(`${path}, `));
      expect(open, path).toThrow(/belongs to user 65534, and this is user 0/);
      if (path !== state) chownSync(path, 0, 0);
    }
    // Root looks at what is wholly another's, as the service's is.
    expect(await checkState(state)).toMatchObject({ status: 'fail' });
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, state]);
    expect(await checkState(state)).toMatchObject({ status: 'ok' });
  });
});
