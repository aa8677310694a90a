import { expect, it } from 'vitest';
import { covers, wantsSchema } from './wants.ts';

it('what is wanted holds as declared, all conditions together', () => {
  const facts = { path: '/usr/bin/x.bin', size: 100, mode: 0o100755, uid: 0, gid: 0, mtime: '0' };
  const wants = (declared: object) => covers(wantsSchema.parse(declared), { kind: 'file', facts });
  expect(wants({})).toBe(true);
  expect(
    wants({ minSize: 100, maxSize: 100, suffixes: ['.bin'], prefixes: ['/usr/'], executable: true }),
  ).toBe(true);
  for (const none of [
    { minSize: 101 },
    { maxSize: 99 },
    { suffixes: ['.js'] },
    { prefixes: ['/opt/'] },
    { executable: false },
    { kinds: ['process'] },
  ]) {
    expect(wants(none)).toBe(false);
  }
  expect(covers(wantsSchema.parse({ kinds: ['process'] }), { kind: 'process' })).toBe(true);
  expect(wantsSchema.safeParse({ minSize: -1 }).success).toBe(false);
});
