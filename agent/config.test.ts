import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig, parseConfig } from './config.ts';
import { TempDirectory } from './testing/tree.ts';
import { VERSION } from './version.ts';

const errorOf = (text: string): Promise<string> =>
  parseConfig('agent.yaml', text).then(
    () => 'no error',
    (error: Error) => error.message,
  );

describe('configuration', () => {
  it('denies what it names, in YAML or JSON', async () => {
    using directory = new TempDirectory();
    const file = join(directory.path, 'agent.yaml');
    writeFileSync(file, 'deny:\n  - delete:file\n  - update:file\n');
    expect(await loadConfig(file)).toEqual({ deny: new Set(['delete:file', 'update:file']) });
    writeFileSync(file, '{"deny": ["stop:process"]}');
    expect(await loadConfig(file)).toEqual({ deny: new Set(['stop:process']) });
  });

  it('denies nothing when it is empty', async () => {
    expect(await parseConfig('agent.yaml', '')).toEqual({ deny: new Set() });
  });

  it('names file, line, key and what was expected', async () => {
    expect(await errorOf('deny:\n  - delete:file\n  - exec:shell\n')).toMatch(
      /^agent\.yaml:3: key "deny\.1": .*"delete:file"/,
    );
    expect(await errorOf('# administrator\ndney: [delete:file]\n')).toMatch(
      /^agent\.yaml:2: key "dney": unknown/,
    );
    expect(await errorOf('deny: [query:features]')).toMatch(/^agent\.yaml:1: key "deny\.0"/);
    expect(await errorOf('deny: [')).toMatch(/^agent\.yaml: .*line 1/s);
  });

  it('that was named must be there', async () => {
    await expect(loadConfig('/nowhere/agent.yaml')).rejects.toMatchObject({ code: 'bad-config' });
  });
});

it('tells the version of its package', () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8'));
  expect(VERSION).toBe(version);
});
