import { describe, expect, it } from 'vitest';
import { type Features, INSTRUCTION_NAMES, type InstructionName, toPairs } from '../../protocol/index.ts';
import { match } from './match.ts';

const featuresWith = (offered: readonly InstructionName[], denied: string[] = []): Features => ({
  versions: ['1.0'],
  profiles: ['er'],
  pairs: toPairs(offered),
  'x-lazaret': {
    os: { id: 'debian', version: '12', name: 'Debian', kernel: '6.1', arch: 'x86_64' },
    init: 'systemd',
    privileges: { uid: 0, root: true },
    fileSystems: [],
    denied,
    limits: { stagedBytes: 0, contentFiles: 0 },
  },
});
const ALL = featuresWith(INSTRUCTION_NAMES);
const allowAll = { allow: INSTRUCTION_NAMES };

describe('the instruction set', () => {
  it('is all that is offered, allowed and needed', () => {
    const { instructions, withheld } = match(ALL, allowAll, INSTRUCTION_NAMES);
    expect(instructions).toEqual(INSTRUCTION_NAMES);
    expect(withheld).toEqual([]);
  });

  it('has nothing that nobody needs, and says nothing of it', () => {
    const { instructions, withheld } = match(ALL, allowAll, ['query:files']);
    expect(instructions).toEqual(['query:files']);
    expect(withheld).toEqual([]);
  });

  it('is empty where policy allows nothing', () => {
    const { instructions, withheld } = match(ALL, { allow: [] }, ['query:files']);
    expect(instructions).toEqual([]);
    expect(withheld).toEqual([{ instruction: 'query:files', reason: 'denied-by-policy' }]);
  });

  it('tells what the agent lacks from what its administrator denies', () => {
    const features = featuresWith(['query:files'], ['stop:process']);
    const { withheld } = match(features, { allow: [] }, ['stop:process', 'contain:file', 'query:files']);
    expect(withheld).toEqual([
      { instruction: 'query:files', reason: 'denied-by-policy' },
      { instruction: 'stop:process', reason: 'denied-by-guest' },
      { instruction: 'contain:file', reason: 'not-offered' },
    ]);
  });

  it('never has what the agent denies, even if it offers it as well', () => {
    const features = featuresWith(['delete:file'], ['delete:file']);
    expect(match(features, allowAll, ['delete:file']).instructions).toEqual([]);
  });

  it('ignores pairs that this version does not know, and hostile ones', () => {
    const features = featuresWith(['query:files']);
    const hostile = { detonate: ['host'], constructor: ['prototype'], contain: ['toString'] };
    Object.assign(features.pairs, hostile);
    expect(match(features, allowAll, INSTRUCTION_NAMES).instructions).toEqual(['query:files']);
  });

  it('has an id that follows from its members alone', () => {
    const one = match(ALL, allowAll, ['query:files', 'stop:process']);
    const same = match(featuresWith(['stop:process', 'query:files']), allowAll, INSTRUCTION_NAMES);
    const other = match(ALL, allowAll, ['query:files']);
    expect(one.id).toMatch(/^[0-9a-f]{12}$/);
    expect(same.id).toBe(one.id);
    expect(other.id).not.toBe(one.id);
  });
});
