import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkPlugins, type Examinable } from './plugin-checkup.ts';

const STATE = '/var/lib/lazaret';
const plugin = (id: string, checkup?: Examinable['checkup'], options = z.strictObject({})): Examinable => ({
  meta: { id },
  options,
  ...(checkup && { checkup }),
});
const well: Examinable['checkup'] = () => Promise.resolve([{ status: 'ok', detail: 'well' }]);

describe('the checkups of plugins', () => {
  it('are told under their ids, with their remedies', async () => {
    const ill = plugin('ill', async ({ cache }) => [
      { status: 'fail', detail: cache, remedy: 'rest' },
      { status: 'warn', detail: 'pale' },
    ]);
    expect(
      await checkPlugins([plugin('none'), plugin('well', well), ill], { plugins: {}, state: STATE }),
    ).toEqual([
      { name: 'well', status: 'ok', detail: 'well' },
      { name: 'ill', status: 'fail', detail: '/var/lib/lazaret/cache/ill', remedy: 'rest' },
      { name: 'ill', status: 'warn', detail: 'pale' },
    ]);
  });

  it('are those of plugins in use, with the options that they have there', async () => {
    const options = z.strictObject({ socket: z.string() });
    const tells = plugin(
      'tells',
      async (context) => [{ status: 'ok', detail: context.options.socket }],
      options,
    );
    expect(await checkPlugins([tells], { plugins: {}, state: STATE })).toEqual([]);
    expect(
      await checkPlugins([tells], { plugins: { tells: { enabled: false, socket: '/s' } }, state: STATE }),
    ).toEqual([]);
    expect(
      await checkPlugins([tells], { plugins: { tells: { enabled: true, socket: '/s' } }, state: STATE }),
    ).toEqual([{ name: 'tells', status: 'ok', detail: '/s' }]);
  });

  it('are failures of their own when they fail or do not end, and are told to stop', async () => {
    const failing = plugin('failing', () => Promise.reject(new Error('torn')));
    let signal: AbortSignal | undefined;
    const endless = plugin('endless', (context) => {
      signal = context.signal;
      return new Promise(() => undefined);
    });
    const checks = await checkPlugins(
      [failing, endless, plugin('well', well)],
      { plugins: {}, state: STATE },
      1,
    );
    expect(checks).toEqual([
      { name: 'failing', status: 'fail', detail: 'its checkup failed: torn' },
      { name: 'endless', status: 'fail', detail: 'its checkup failed: did not end within 0.001 s' },
      { name: 'well', status: 'ok', detail: 'well' },
    ]);
    expect(signal?.aborted).toBe(true);
  });
});
