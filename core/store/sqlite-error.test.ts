import { expect, test } from 'vitest';
import { StoreError } from '../error.ts';
import { toStoreError } from './sqlite-error.ts';

const sqliteError = (errcode: number) => Object.assign(new Error('from SQLite'), { errcode });
const systemError = (code: string) => Object.assign(new Error('from the system'), { code, syscall: 'write' });

test.each([
  [sqliteError(5), 'in-use'],
  [sqliteError(8), 'not-writable'],
  // SQLITE_IOERR_FSYNC: an extended code.
  [sqliteError(10 | (4 << 8)), 'write-failed'],
  [sqliteError(11), 'corrupt'],
  [sqliteError(13), 'write-failed'],
  [sqliteError(14), 'not-writable'],
  [sqliteError(26), 'corrupt'],
  [systemError('ENOSPC'), 'write-failed'],
  [systemError('EIO'), 'write-failed'],
  [systemError('EROFS'), 'not-writable'],
])('%o means %s, and keeps its cause', (cause, code) => {
  const error = toStoreError(cause, '/state/lazaret.db');
  expect(error).toBeInstanceOf(StoreError);
  expect(error).toMatchObject({ code, cause, message: expect.stringContaining('/state/lazaret.db') });
});

test('a mistake in the code stays what it is', () => {
  const mistake = sqliteError(1);
  expect(toStoreError(mistake, 'x')).toBe(mistake);
  const type = new TypeError('x');
  expect(toStoreError(type, 'x')).toBe(type);
});
