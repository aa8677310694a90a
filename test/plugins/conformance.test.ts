/** A plugin in a process of its own keeps to all that a detector in this one keeps to. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, it } from 'vitest';
import type { FileSubject } from '../../core/api/index.ts';
import { isolatedPlugin } from '../../core/plugin/isolated-plugin.ts';
import { readPackage } from '../../core/plugin/manifest.ts';
import { detectorSuite, fileSubject, setUp } from '../../testkit/index.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/lazaret-plugin-entropy');
const { elf, noise, code, pe } = await import(pathToFileURL(join(EXAMPLE, 'test/images.js')).href);

const place = mkdtempSync(join(tmpdir(), 'lazaret-confined-'));
afterAll(() => rmSync(place, { recursive: true }));

function sample(name: string, content: Buffer): FileSubject {
  const path = join(place, name);
  writeFileSync(path, content);
  return fileSubject(path);
}

describe('the example, in a process of its own', () => {
  const plugin = isolatedPlugin(readPackage(EXAMPLE), [place]);
  const samples = {
    malicious: sample('packed', elf(noise(8192))),
    clean: sample('plain', elf(code(8192))),
    malformed: [
      sample('cut', elf(noise(8192)).subarray(0, 70)),
      sample('wild', pe(noise(2048), { count: 65_535 })),
    ],
    vanished: fileSubject(join(place, 'never-was')),
  };
  for (const { name, run } of detectorSuite({ open: () => setUp(plugin), samples })) it(name, run);
});
