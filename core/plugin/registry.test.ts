import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { type AnyPlugin, type Detector, definePlugin, type Kinds, type PluginKind } from '../api/index.ts';
import { PluginRegistry } from './registry.ts';
import type { PluginSettings } from './usage.ts';

const context = {
  logger: { debug: vi.fn(), info: vi.fn(), warn: vi.fn() },
  cache: mkdtempSync(join(tmpdir(), 'lazaret-registry-')),
  signal: new AbortController().signal,
};
afterAll(() => rmSync(context.cache, { recursive: true }));
const open = (plugins: readonly AnyPlugin[], settings: Record<string, PluginSettings> = {}) =>
  PluginRegistry.open(plugins, settings, context);

const detector = (close = vi.fn(async () => undefined)): Detector => ({
  engine: { name: 'none', version: '1', signatures: '', signatureCount: 0 },
  problems: [],
  concurrency: 1,
  wants: () => false,
  // biome-ignore lint/correctness/useYield: it has nothing to say
  detect: async function* () {
    return;
  },
  close,
});

function plugin<Kind extends PluginKind>(
  kind: Kind,
  id: string,
  setup: (options: Record<string, unknown>) => Kinds[Kind] | Promise<Kinds[Kind]>,
  more: { api?: number; options?: z.ZodType<Record<string, unknown>> } = {},
): AnyPlugin {
  return definePlugin({
    meta: { kind, id, version: '1', description: '', ...(more.api === undefined ? {} : { api: more.api }) },
    options: more.options ?? z.strictObject({}),
    requires: kind === 'detector' ? ['query:files', 'query:content'] : ['contain:file', 'query:content'],
    setup: ({ options }) => setup(options),
  }) as AnyPlugin;
}

describe('the registry', () => {
  it('sets plugins up with their checked options and keeps them by kind', async () => {
    const seen = vi.fn();
    const options = z.strictObject({ depth: z.number().default(3), name: z.string() });
    const setup = (given: unknown): Detector => {
      seen(given);
      return detector();
    };
    const one = plugin('detector', 'one', setup, { options });
    const two = plugin('remediation', 'two', () => ({ propose: () => [] }));
    const three = plugin('patch', 'three', () => ({ load: async () => undefined }));
    const registry = await open([one, two, three], { one: { enabled: true, name: 'x' } });
    expect(seen).toHaveBeenCalledWith({ depth: 3, name: 'x' });
    expect(registry.detectors.map(({ id }) => id)).toEqual(['one']);
    expect(registry.remediations.map(({ id }) => id)).toEqual(['two']);
    expect(registry.patches.map(({ id }) => id)).toEqual(['three']);
    expect(registry.needs()).toEqual(new Set(['query:files', 'query:content', 'contain:file']));
  });

  it('names plugin and key of an option that does not fit', async () => {
    const options = z.strictObject({ rules: z.array(z.string()) });
    const opening = open([plugin('detector', 'one', () => detector(), { options })], {
      one: { enabled: true, rules: ['a', 3], extra: 1 },
    });
    await expect(opening).rejects.toMatchObject({
      code: 'bad-options',
      message: expect.stringMatching(/^plugins\.one\.rules\.1: .*string.*\n.*extra/s),
    });
  });

  it('leaves out what is switched off, and what needs options and has none', async () => {
    const options = z.strictObject({ rules: z.array(z.string()) });
    const plugins = [
      plugin('detector', 'off', () => detector()),
      plugin('detector', 'bare', () => detector(), { options }),
      plugin('detector', 'on', () => detector()),
    ];
    const registry = await open(plugins, { off: { enabled: false } });
    expect(registry.detectors.map(({ id }) => id)).toEqual(['on']);
  });

  it('refuses options for a plugin that is not there, and two of one id', async () => {
    const one = plugin('detector', 'one', () => detector());
    await expect(open([one], { two: { enabled: true } })).rejects.toMatchObject({
      code: 'bad-options',
      message: 'plugins.two: there is no such plugin; there are one',
    });
    await expect(open([one, one])).rejects.toMatchObject({ code: 'bad-options' });
  });

  it('refuses a plugin made for another version of the API', async () => {
    const old = plugin('detector', 'old', () => detector(), { api: 0 });
    await expect(open([old])).rejects.toMatchObject({ code: 'unsupported-api' });
  });

  it('closes what is running when another plugin cannot be set up', async () => {
    const close = vi.fn(async () => undefined);
    const failing = plugin('detector', 'failing', () => Promise.reject(new Error('no engine')));
    await expect(open([failing, plugin('detector', 'good', () => detector(close))])).rejects.toThrow(
      'no engine',
    );
    expect(close).toHaveBeenCalledOnce();
  });

  it('closes every plugin even when one fails to', async () => {
    const close = vi.fn(async () => undefined);
    const stuck = plugin('detector', 'stuck', () => detector(vi.fn().mockRejectedValue(new Error('stuck'))));
    const registry = await open([stuck, plugin('detector', 'good', () => detector(close))]);
    await expect(registry.close()).rejects.toThrow('stuck');
    expect(close).toHaveBeenCalledOnce();
  });
});

describe('other options', () => {
  const options = z.strictObject({ depth: z.number() });
  const set: Record<string, { options: unknown; close: ReturnType<typeof vi.fn> }[]> = {};
  const recording = (id: string, more = { options }) =>
    plugin(
      'detector',
      id,
      (given) => {
        const close = vi.fn(async () => undefined);
        set[id] = [...(set[id] ?? []), { options: given, close }];
        return detector(close);
      },
      more,
    );
  const openTwo = async () => {
    for (const id of Object.keys(set)) delete set[id];
    return open([recording('one'), recording('two')], {
      one: { enabled: true, depth: 1 },
      two: { enabled: true, depth: 1 },
    });
  };

  it('set up anew the plugins that they concern, which close when nobody holds them', async () => {
    const registry = await openTwo();
    const held = registry.acquire();
    await registry.configure({ one: { enabled: true, depth: 1 }, two: { enabled: true, depth: 2 } });
    expect(set.one).toHaveLength(1);
    expect(set.two?.map(({ options: given }) => given)).toEqual([{ depth: 1 }, { depth: 2 }]);
    expect(set.two?.[0]?.close).not.toHaveBeenCalled();
    held[Symbol.dispose]();
    expect(set.two?.[0]?.close).toHaveBeenCalledOnce();
    expect(set.one?.[0]?.close).not.toHaveBeenCalled();
    await registry.close();
    expect(set.two?.[1]?.close).toHaveBeenCalledOnce();
    expect(set.two?.[0]?.close).toHaveBeenCalledOnce();
  });

  it('switch one off and on again', async () => {
    const registry = await openTwo();
    await registry.configure({ one: { enabled: true, depth: 1 }, two: { enabled: false } });
    expect(registry.detectors.map(({ id }) => id)).toEqual(['one']);
    await registry.configure({ one: { enabled: true, depth: 1 }, two: { enabled: true, depth: 1 } });
    expect(registry.detectors.map(({ id }) => id)).toEqual(['one', 'two']);
    await registry.close();
  });

  it.each([
    ['do not fit', { one: { enabled: true, depth: 2 }, two: { enabled: true, depth: 'deep' } }],
    ['are of a plugin that is not there', { nosuch: { enabled: true } }],
  ])('that %s change nothing', async (_, wrong) => {
    const registry = await openTwo();
    await expect(registry.configure(wrong)).rejects.toMatchObject({ code: 'bad-options' });
    expect(registry.detectors.map(({ id }) => id)).toEqual(['one', 'two']);
    expect(set.one?.[0]?.close).not.toHaveBeenCalled();
    for (const { close } of set.one?.slice(1) ?? []) expect(close).toHaveBeenCalledOnce();
    await registry.close();
  });

  it('that are being set up when it closes are not left running', async () => {
    const registry = await openTwo();
    const change = registry.configure({ one: { enabled: true, depth: 5 }, two: { enabled: true, depth: 1 } });
    await registry.close();
    await change;
    expect(set.one).toHaveLength(2);
    for (const { close } of set.one ?? []) expect(close).toHaveBeenCalledOnce();
  });
});
