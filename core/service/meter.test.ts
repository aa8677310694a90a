import { expect, it } from 'vitest';
import { defaults, LiveSettings } from '../config/index.ts';
import { StoreError } from '../error.ts';
import type { HostServices } from '../services.ts';
import { Meter } from './meter.ts';
import { memoryLogger } from './testing/requests.ts';

const meter = (engine: object) => {
  const { lines, logger } = memoryLogger();
  const parts = { list: () => [] };
  const whole = {
    ...{ settings: new LiveSettings(defaults()), spooled: () => 7, refusedByVault: () => 0, packs: parts },
    ...{ records: { vault: { held: () => ({ held: 2, bytes: 5 }) } }, ...engine },
  } as unknown as HostServices;
  return {
    lines,
    meter: new Meter({ engine: whole, guests: parts, jobs: parts, events: () => undefined, logger }),
  };
};

it('tells how things stand, without a way out for events as well', async () => {
  const { lines, meter: measured } = meter({});
  const text = await measured.metrics.text();
  expect(text).toMatch(/^lazaret_spool_bytes\S* 7$/m);
  expect(lines).toEqual([]);
});

it('says once of each metric that it cannot be told, however often it is asked, and tells the others', async () => {
  const held = () => {
    throw new StoreError('corrupt', 'the table is damaged');
  };
  const { lines, meter: measured } = meter({ records: { vault: { held } } });
  for (let scrapes = 0; scrapes < 3; scrapes++)
    expect(await measured.metrics.text()).toMatch(/^lazaret_spool_bytes/m);
  const said = lines.map(({ message }) => message);
  expect(said.length).toBeGreaterThan(0);
  expect(new Set(said).size).toBe(said.length);
  expect(lines[0]).toMatchObject({ level: 'warn', facts: { code: 'corrupt' } });
});
