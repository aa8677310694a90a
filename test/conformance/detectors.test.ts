import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { FileSubject } from '../../core/api/index.ts';
import clamav from '../../plugins/detectors/clamav/index.ts';
import elfFacts from '../../plugins/detectors/elf-facts/index.ts';
import hashset from '../../plugins/detectors/hashset/index.ts';
import ioc from '../../plugins/detectors/ioc/index.ts';
import persistence from '../../plugins/detectors/persistence/index.ts';
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
import { need } from '../need.ts';

const fixture = (plugin: string, ...names: string[]): string =>
  path.join(import.meta.dirname, '../../plugins/detectors', plugin, 'fixtures', ...names);

function conforms(name: string, trial: DetectorTrial): void {
  describe(`${name} as a detector`, () => {
    for (const { name, run } of detectorSuite(trial)) it(name, run);
  });
}

const hasYara = need({ program: 'yarac', get: 'apt-get install yara' });
for (const engine of ['auto', 'wasm', ...(hasYara ? ['program'] : [])]) {
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

conforms('ioc', {
  open: () => setUp(ioc, { files: [fixture('ioc', 'indicators.json')] }),
  samples: {
    malicious: fileSubject(fixture('ioc', 'by-hash.txt')),
    clean: fileSubject(fixture('ioc', 'clean.txt')),
    malformed: [
      fileSubject(fixture('yara', 'samples', 'empty')),
      processSubject({ path: '', deleted: true }),
    ],
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

/** A fixture of a tree, at its place in the guest. */
const persistenceSubject = (tree: string, at: string): FileSubject => {
  const subject = fileSubject(fixture('persistence', tree, at));
  return { ...subject, facts: { ...subject.facts, path: at } };
};
conforms('persistence', {
  open: () => setUp(persistence),
  samples: {
    malicious: persistenceSubject('infected', '/etc/ld.so.preload'),
    clean: persistenceSubject('stock', '/etc/update-motd.d/10-uname'),
    malformed: ['/etc/crontab', '/etc/systemd/system/odd.timer', '/etc/cron.d/empty'].map((at) =>
      persistenceSubject('malformed', at),
    ),
    vanished: persistenceSubject('stock', '/etc/cron.d/never-was'),
  },
});

const programSubject = (name: string): FileSubject => {
  const subject = fileSubject(fixture('elf-facts', name));
  return { ...subject, facts: { ...subject.facts, mode: 0o100755, size: 344 } };
};
conforms('elf-facts', {
  open: () => setUp(elfFacts),
  samples: {
    malicious: programSubject('without-sections'),
    clean: programSubject('clean'),
    malformed: ['truncated', 'unidentified', 'empty', 'text'].map(programSubject),
    vanished: programSubject('never-was'),
  },
});
