/** What every detector keeps to, with the suite that Lazaret runs over its own. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { answersOf, detectorSuite, fileSubject, setUp } from 'lazaret/testkit';
import plugin from '../index.js';
import about from '../package.json' with { type: 'json' };
import { code, elf, noise, pe } from './images.js';

const directory = mkdtempSync(join(tmpdir(), 'entropy-'));
after(() => rmSync(directory, { recursive: true }));

/**
 * @param {string} name
 * @param {Buffer} content
 */
function sample(name, content) {
  const path = join(directory, name);
  writeFileSync(path, content);
  return fileSubject(path);
}

const malicious = sample('packed', elf(noise(8192)));
const samples = {
  malicious,
  clean: sample('plain', elf(code(8192))),
  malformed: [
    sample('empty', Buffer.alloc(0)),
    sample('cut', elf(noise(8192)).subarray(0, 70)),
    sample('wild', pe(noise(2048), { count: 0xffff })),
  ],
  vanished: fileSubject(join(directory, 'never-was')),
};

describe('the entropy detector', () => {
  for (const { name, run } of detectorSuite({ open: () => setUp(plugin), samples })) it(name, run);

  it('does as it is told by its options', async () => {
    const detector = await setUp(plugin, { minEntropy: 8 });
    const answers = await answersOf(detector, [malicious]);
    assert.deepEqual(answers.get(malicious.id), { subject: malicious.id, detections: [] });
  });

  it('is described alike in both places', () => {
    assert.equal(plugin.meta.id, about.lazaret.id);
    assert.equal(about.name, `lazaret-plugin-${plugin.meta.id}`);
  });
});
