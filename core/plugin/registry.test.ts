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
