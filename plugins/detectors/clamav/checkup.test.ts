import { chmodSync } from 'node:fs';
import type { Checkup } from 'lazaret/plugin';
import { afterEach, describe, expect, it } from 'vitest';
import { hasClamd, TestClamd } from '../../../test/clamd.ts';
import { contextWith } from '../../../test/conformance/subjects.ts';
import plugin from './index.ts';

const started: TestClamd[] = [];
afterEach(async () => {
  for (const clamd of started.splice(0)) await clamd[Symbol.asyncDispose]();
});

async function start(config: Readonly<Record<string, string>> = {}): Promise<TestClamd> {
  const clamd = await TestClamd.start({ config });
  started.push(clamd);
  return clamd;
}

async function look(given: Readonly<Record<string, unknown>>): Promise<readonly Checkup[]> {
  const result = await plugin.options['~standard'].validate(given);
  if (result.issues) throw new Error(JSON.stringify(result.issues));
  return (await plugin.checkup?.(contextWith(result.value))) ?? [];
}

const about = (checkups: readonly Checkup[], words: RegExp) =>
  checkups.find(({ detail }) => words.test(detail));

describe.runIf(hasClamd())('the checkup', () => {
  it('tells what is well', async () => {
    const clamd = await start();
    const checkups = await look({ socket: clamd.socket, config: clamd.configFile });
    expect(about(checkups, /^ClamAV \d/)).toMatchObject({ status: 'ok' });
    expect(about(checkups, /limits/)).toMatchObject({ status: 'ok' });
    expect(about(checkups, /the mode 660/)).toMatchObject({ status: 'ok' });
    expect(about(checkups, /up to 100 MiB/)).toMatchObject({ status: 'ok' });
    expect(about(checkups, /others only/)).toMatchObject({ status: 'warn' });
  });

  it('tells what is not, and what to do', async () => {
    const clamd = await start({ AlertExceedsMax: 'no' });
    chmodSync(clamd.socket, 0o666);
    const checkups = await look({ socket: clamd.socket });
    expect(about(checkups, /OK/)).toMatchObject({
      status: 'fail',
      remedy: expect.stringContaining('AlertExceedsMax yes'),
    });
    expect(about(checkups, /the mode 666/)).toMatchObject({ status: 'fail' });
    expect(about(checkups, /cannot be read, so that/)).toMatchObject({ status: 'warn' });
  });

  it.runIf(process.getuid?.() === 0)('tells that clamd cannot read where contents lie', async () => {
    const clamd = await start();
    expect(about(await look({ socket: clamd.socket }), /cannot read a file of ours/)).toMatchObject({
      status: 'warn',
    });
  });

  it('tells that nobody is there', async () => {
    expect(await look({ socket: '/nonexistent/clamd' })).toMatchObject([
      { status: 'fail', detail: expect.stringContaining('/nonexistent/clamd') },
    ]);
  });
});
