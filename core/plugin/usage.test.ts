import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type AnyPlugin, API_VERSION, definePlugin, type SignatureFile } from '../api/index.ts';
import { filesFor, usageOf } from './usage.ts';

const plugin = (options: z.ZodType, more: Partial<AnyPlugin> = {}): AnyPlugin =>
  ({
    ...definePlugin({
      meta: { kind: 'detector', id: 'one', version: '1', description: 'One', api: API_VERSION },
      options,
      requires: [],
      setup: (): never => {
        throw new Error('not asked for');
      },
    }),
    ...more,
  }) as AnyPlugin;

const NOTHING = z.strictObject({});
const LISTS = z.strictObject({ lists: z.array(z.string()).min(1) });
const RULES: SignatureFile = { type: 'yara', path: '/p', name: 'a.yar', pack: 'v/p', version: '1' };

describe('a plugin', () => {
  it('that configuration does not mention is used when it needs no options', async () => {
    expect(await usageOf(plugin(NOTHING), undefined, [])).toEqual({ state: 'used', options: {} });
    expect(await usageOf(plugin(LISTS), undefined, [])).toMatchObject({
      state: 'needs-options',
      why: expect.stringMatching(/^plugins\.one\.lists: /),
    });
  });

  it('that takes pack files is used when there are some, or it is configured', async () => {
    const taking = plugin(NOTHING, { signatures: ['yara'] });
    expect(filesFor(taking, [RULES, { ...RULES, type: 'ioc' }])).toEqual([RULES]);
    expect(await usageOf(taking, undefined, [])).toMatchObject({ state: 'needs-signatures' });
    expect(await usageOf(taking, undefined, [RULES])).toMatchObject({ state: 'used' });
    expect(await usageOf(taking, { enabled: true }, [])).toMatchObject({ state: 'used' });
  });

  it('is off when configuration says so, whatever else is wrong with it', async () => {
    expect(await usageOf(plugin(LISTS), { enabled: false, odd: 1 }, [])).toMatchObject({ state: 'off' });
  });

  it('with wrong options, or for another API, is an error', async () => {
    const configured = { enabled: true, lists: [] };
    expect(await usageOf(plugin(LISTS), configured, [])).toMatchObject({ state: 'bad-options' });
    const meta = { ...plugin(NOTHING).meta, api: 99 } as AnyPlugin['meta'];
    const foreign = plugin(NOTHING, { meta } as Partial<AnyPlugin>);
    expect(await usageOf(foreign, undefined, [])).toMatchObject({
      state: 'unsupported-api',
      why: expect.stringContaining('version 99'),
    });
  });
});
