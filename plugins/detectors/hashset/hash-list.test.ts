import { expect, it } from 'vitest';
import { HashList } from './hash-list.ts';
import { LONGEST_LINE } from './lines.ts';

const SHA256 = 'Ab'.repeat(32);
const SHA1 = 'cd'.repeat(20);
const MD5 = 'ef'.repeat(16);
const listed = (
  algorithm: string,
  hash: string,
  rest: { readonly name?: string; readonly size?: number } = {},
) => ({
  algorithm,
  hash,
  ...rest,
});
const parse = (file: string, lines: readonly string[]) => {
  const list = new HashList(file);
  return lines.map((line) => list.parse(line)).filter((parsed) => parsed !== 'nothing');
};

it.each([
  ['a bare hash', [SHA256], [listed('sha256', SHA256)]],
  [
    'names',
    [`${SHA1}  a  name, with more \r`, `${MD5}\tb`],
    [listed('sha1', SHA1, { name: 'a  name, with more' }), listed('md5', MD5, { name: 'b' })],
  ],
  ['comments', ['# a', ' ', SHA1], [listed('sha1', SHA1)]],
  [
    'what is no hash',
    [SHA1.slice(1), `${'g'.repeat(32)} name`, 'words'],
    ['malformed', 'malformed', 'malformed'],
  ],
])('reads plain lists: %s', (_, lines, expected) => {
  expect(parse('list.txt', lines)).toEqual(expected);
});

it.each(['list.hdb', 'LIST.HSB', 'list.hdu', 'list.hsu', 'no-extension'])(
  'reads ClamAV lists: %s',
  (file) => {
    const lines = [`${MD5}:17:Some.Name-1`, `${SHA256}:*:Other:73`, `${SHA1}:0:Third:51:255`];
    expect(parse(file, lines)).toEqual([
      listed('md5', MD5, { name: 'Some.Name-1', size: 17 }),
      listed('sha256', SHA256, { name: 'Other' }),
      listed('sha1', SHA1, { name: 'Third', size: 0 }),
    ]);
  },
);

it('refuses ClamAV lines without a hash or a size, such as those of sections', () => {
  const lines = [
    MD5,
    `${MD5}:`,
    `${MD5}:-1:a`,
    `${MD5}:1e3:a`,
    `${MD5}:${'9'.repeat(13)}:a`,
    `4096:${MD5}:a`,
  ];
  expect(parse('list.hdb', lines)).toEqual(lines.map(() => 'malformed'));
});

const ROW = `"2026-01-01 00:00:00", "${SHA256}", "${MD5}", "${SHA1}", "r", "a, ""b"".exe", "exe", "t", "Family", "n/a"`;

it.each([
  [
    'columns in a comment',
    'a.csv',
    ['# "md5_hash", "sha256_hash","signature"', `"${MD5}","${SHA256}","F"`],
    { name: 'F' },
  ],
  ['columns in a row', 'a.csv', ['name,SHA256,other', `N,${SHA256},x`], { name: 'N' }],
  ['the columns of MalwareBazaar', 'a.csv', [ROW], { name: 'Family' }],
  ['no extension', 'a.txt', ['# hello', ROW], { name: 'Family' }],
  ['hash and name', 'a.csv', [` ${SHA256} , N , x`], { name: 'N' }],
  ['a hash alone', 'a.txt', [`"${SHA256}"`], {}],
  ['no family', 'a.csv', [ROW.replace('Family', 'n/a')], {}],
])('reads CSV: %s', (_, file, lines, rest) => {
  expect(parse(file, lines)).toEqual([listed('sha256', SHA256, rest)]);
});

it('takes no later row for names of columns', () => {
  const rows = [ROW, ROW.replace('a, ""b"".exe', 'md5'), ROW];
  expect(parse('a.csv', rows)).toEqual(rows.map(() => listed('sha256', SHA256, { name: 'Family' })));
});

it.each([['"never closed'], ['a,b,c'], ['"n/a","n/a"'], [`"${SHA256.slice(1)}",x`], [','.repeat(9)]])(
  'refuses the CSV row %s',
  (row) => {
    expect(parse('a.csv', [row])).toEqual(['malformed']);
  },
);

it('refuses a line without end', () => {
  expect(parse('a.txt', [`${SHA256} ${'x'.repeat(LONGEST_LINE)}`])).toEqual(['malformed']);
});
