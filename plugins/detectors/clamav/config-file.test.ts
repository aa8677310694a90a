import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hasClamd, TestClamd } from '../../../test/clamd.ts';
import { parseClamdConfig } from './config-file.ts';

const OWN = join(import.meta.dirname, '../../../config/clamd.conf');

it('reads sizes, switches and comments, and knows the defaults', () => {
  expect(
    parseClamdConfig(
      '# MaxThreads 1\nMaxThreads 3\nMaxFileSize 2K\nStreamMaxLength 0\nAlertExceedsMax Yes\nnonsense\n',
    ),
  ).toEqual({
    localSocket: undefined,
    databaseDirectory: '/var/lib/clamav',
    maxThreads: 3,
    maxFileBytes: 2048,
    maxScanBytes: 400 * 1024 ** 2,
    streamMaxBytes: 2 ** 31 - 1,
    alertExceedsMax: true,
    selfCheckSeconds: 600,
  });
  expect(parseClamdConfig('SelfCheck 0').selfCheckSeconds).toBeUndefined();
});

it('finds in config/clamd.conf what is asked of a clamd', () => {
  const { alertExceedsMax, maxFileBytes, streamMaxBytes } = parseClamdConfig(readFileSync(OWN, 'utf8'));
  // The default of policy.maxFileBytes.
  const largest = 256 * 1024 ** 2;
  expect({ alertExceedsMax, maxFileBytes, streamMaxBytes }).toEqual({
    alertExceedsMax: true,
    maxFileBytes: largest,
    streamMaxBytes: largest,
  });
});

it.runIf(hasClamd())('clamd starts with config/clamd.conf', async () => {
  const lines = [...readFileSync(OWN, 'utf8').matchAll(/^(\w+) (.+)$/gm)].map(([, key, value]) => [
    key,
    value,
  ]);
  const {
    LocalSocket: _,
    LocalSocketGroup: __,
    DatabaseDirectory: ___,
    User: ____,
    ...config
  } = Object.fromEntries(lines);
  await using clamd = await TestClamd.start({ config });
  expect(clamd.log()).toContain('Self checking every 600 seconds');
  expect(clamd.log()).not.toMatch(/ERROR|WARNING/);
});
