import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Names } from './names.ts';

const facts = (ino: number, links: number) => ({ dev: '1', ino: String(ino), links });
const counted = (names: Names) => Object.fromEntries(names.counted());

describe('names of an inode', () => {
  it('are counted as they were before some of them were taken away', () => {
    const names = new Names();
    names.note('a', facts(1, 3), 'x');
    names.note('b', facts(1, 1), 'x');
    names.note('b', facts(1, 1), 'x');
    names.note('alone', facts(2, 1), 'x');
    names.note('other content', facts(1, 2), 'y');
    expect(counted(names)).toEqual({
      ...{ a: { all: 3, found: 2 }, b: { all: 3, found: 2 } },
      'other content': { all: 2, found: 1 },
    });
  });

  it('are told without those that were found where there are too many to count', () => {
    const names = new Names(2);
    for (const id of ['a', 'b', 'c']) names.note(id, facts(1, 9), 'x');
    expect(counted(names)).toEqual({ a: { all: 9 }, b: { all: 9 } });
  });

  it('are never fewer than were found, whatever the guest says', () => {
    const sighting = fc.record({ ino: fc.nat(3), links: fc.nat(0xffff_ffff), id: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(sighting), (sightings) => {
        const names = new Names();
        for (const { ino, links, id } of sightings) names.note(`${ino}/${id}`, facts(ino, links), 'x');
        for (const { all, found } of Object.values(counted(names))) {
          expect(found).toBeGreaterThan(0);
          expect(all).toBeGreaterThanOrEqual(found ?? 0);
        }
      }),
    );
  });
});
