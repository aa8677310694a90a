import { expect, it } from 'vitest';
import { EXTERNALS, valuesOf } from './externals.ts';

const of = (path: string, head: string, uid = 0) =>
  valuesOf(EXTERNALS, { path, uid }, Buffer.from(head, 'latin1'));

it('are what the name, the owner and the first bytes of a file say', () => {
  expect(of('/srv/www/Upload.PHP', '<?php eval', 33)).toEqual({
    filename: 'Upload.PHP',
    filepath: '/srv/www',
    extension: '.php',
    filetype: 'PHP',
    owner: 'uid 33',
    service: '',
  });
});

it('are there for every file', () => {
  expect(of('/vmlinuz', 'MZ\0')).toMatchObject({
    filename: 'vmlinuz',
    filepath: '/',
    extension: '',
    filetype: 'EXE',
    owner: 'root',
  });
  expect(of('', '')).toMatchObject({ filename: '', filepath: '', extension: '', filetype: 'UNKNOWN' });
  expect(of('/a.b/\\x1b[0m', '#!/bin/sh')).toMatchObject({ filename: '\\x1b[0m', filetype: 'UNIX SCRIPT' });
});

it('are only those that are asked for', () => {
  expect(valuesOf(['extension'], { path: '/a.', uid: 1 }, Buffer.of())).toEqual({ extension: '.' });
});
