import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import clamav from '../../plugins/detectors/clamav/index.ts';
import hashset from '../../plugins/detectors/hashset/index.ts';
import processOrigin from '../../plugins/detectors/process-origin/index.ts';
import yara from '../../plugins/detectors/yara/index.ts';
import {
  type DetectorTrial,
  detectorSuite,
  fileSubject,
  processSubject,
  setUp,
} from '../../testkit/index.ts';
import { hasClamd, TestClamd } from '../clamd.ts';

const fixture = (plugin: string, ...names: string[]): string =>
  path.join(import.meta.dirname, '../../plugins/detectors', plugin, 'fixtures', ...names);

function conforms(name: string, trial: DetectorTrial): void {
  describe(`${name} as a detector`, () => {
    for (const { name, run } of detectorSuite(trial)) it(name, run);
  });
}

for (const engine of ['auto', 'wasm']) {
  conforms(`yara (${engine})`, {
    open: () => setUp(yara, { rules: [fixture('yara', 'rules')], engine, processes: 2 }),
    samples: {
      malicious: fileSubject(fixture('yara', 'samples', 'marked.txt')),
      clean: fileSubject(fixture('yara', 'samples', 'clean.txt')),
      malformed: ['empty', 'broken.elf'].map((name) => fileSubject(fixture('yara', 'samples', name))),
      vanished: fileSubject(fixture('yara', 'samples', 'never-was')),
    },
  });
}

describe.runIf(hasClamd())('with a clamd', () => {
  let clamd: TestClamd;
  beforeAll(async () => {
    clamd = await TestClamd.start({
      databases: {
        'marker.ndb': `Test.Marker:0:*:${Buffer.from('lazaret-inert-clamav-marker').toString('hex')}\n`,
      },
    });
  });
  afterAll(() => clamd[Symbol.asyncDispose]());

  conforms('clamav', {
    open: () => setUp(clamav, { socket: clamd.socket, config: clamd.configFile }),
    samples: {
      malicious: fileSubject(fixture('clamav', 'marked.txt')),
      clean: fileSubject(fixture('clamav', 'clean.txt')),
      malformed: ['empty', 'broken.zip'].map((name) => fileSubject(fixture('clamav', name))),
      vanished: fileSubject(fixture('clamav', 'never-was')),
    },
  });
});

conforms('hashset', {
  open: () => setUp(hashset, { lists: [fixture('hashset', 'known.txt')] }),
  samples: {
    malicious: fileSubject(fixture('hashset', 'by-sha1.txt')),
    clean: fileSubject(fixture('hashset', 'clean.txt')),
    malformed: [fileSubject(fixture('yara', 'samples', 'empty'))],
  },
});

const { executable: _, ...withoutExecutable } = processSubject();
conforms('process-origin', {
  open: () => setUp(processOrigin),
  samples: {
    malicious: processSubject({ deleted: true, detections: [{ judgement: 'malicious', name: 'sample' }] }),
    clean: processSubject(),
    malformed: [withoutExecutable, processSubject({ path: '', deleted: true, inMemory: true })],
  },
});
