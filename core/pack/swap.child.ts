/** Run by swap.test.ts: a host that is killed at one step of installing a pack. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnyPlugin, API_VERSION, type Detector } from '../api/index.ts';
import { PluginRegistry } from '../plugin/registry.ts';
import { StateDatabase } from '../store/database.ts';
import { type PackRecord, PackStore } from '../store/packs.ts';
import { Packs } from './packs.ts';
import { PackShelf } from './shelf.ts';
import type { TrustedKey, VerifiedPack } from './verify.ts';

const [directory = '', archive = '', lastStep = '', keyText = ''] = process.argv.slice(2);
const trusted = [JSON.parse(keyText) as TrustedKey];

function reached(step: string): void {
  if (step === lastStep) process.kill(process.pid, 'SIGKILL');
}

class MortalShelf extends PackShelf {
  override async put(pack: VerifiedPack): Promise<string> {
    const place = await super.put({ ...pack, content: mortal(pack.content) });
    reached('placed');
    return place;
  }

  override async sweep(records: readonly PackRecord[]): Promise<void> {
    await super.sweep(records);
    reached('swept');
  }
}

/** Content of which the second file is never reached. */
function mortal(content: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  const entries = content.entries.bind(content);
  return new Proxy(content, {
    get(target, name) {
      if (name !== Symbol.iterator) return Reflect.get(target, name).bind(target);
      return function* () {
        for (const [index, entry] of [...entries()].entries()) {
          if (index === 1) reached('half written');
          yield entry;
        }
      };
    },
  });
}

class MortalStore extends PackStore {
  override save(record: PackRecord, event: 'installed' | 'rolled-back'): void {
    reached('renewed');
    super.save(record, event);
    reached('saved');
  }
}

/** Finds nothing; what it was set up with is its name. */
const reader: AnyPlugin = {
  meta: { kind: 'detector', id: 'reader', version: '1.0.0', description: 'Reads', api: API_VERSION },
  options: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } },
  requires: [],
  signatures: ['hashset'],
  setup: ({ signatures }): Detector => ({
    engine: {
      name: 'reader',
      version: '1',
      signatures: signatures.map(({ path }) => readFileSync(path, 'utf8')).join(),
      signatureCount: signatures.length,
    },
    problems: [],
    concurrency: 1,
    wants: () => false,
    async *detect() {
      // Nothing is tried with it.
    },
    close: async () => undefined,
  }),
};

const { signal } = new AbortController();
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const context = { logger: silent, cache: join(directory, 'cache'), signal };
const packs = new Packs({
  shelf: new MortalShelf(join(directory, 'packs'), trusted),
  store: new MortalStore(StateDatabase.open(directory)),
  plugins: await PluginRegistry.open([reader], {}, context),
  trusted,
  knownGood: [],
  builtIn: { files: [], problems: [] },
  clock: Date.now,
});
await packs.install(archive, signal);
reached('done');
