/** Guests and engines that end with the test that began them. */
import { afterEach } from 'vitest';
import { type EngineOptions, TestEngine } from './engine.ts';
import { ServedFolder } from './served-folder.ts';

const begun: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of begun.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** Has it ended with the test. */
export function forThisTest<One extends AsyncDisposable>(one: One): One {
  begun.push(one);
  return one;
}

export const serve = async (options?: Parameters<typeof ServedFolder.serve>[0]): Promise<ServedFolder> =>
  forThisTest(await ServedFolder.serve(options));

export const startEngine = async (guest: ServedFolder, options?: EngineOptions): Promise<TestEngine> =>
  forThisTest(await TestEngine.start(guest.directory, options));
