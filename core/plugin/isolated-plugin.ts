/** A third-party package as a plugin like any other; all that it does, it does in a child process. */
import type { Plugin, StandardSchema } from '../api/index.ts';
import { PluginChild } from './child.ts';
import { IsolatedDetector, type IsolationLimits, LIMITS } from './isolated-detector.ts';
import type { FoundPackage } from './manifest.ts';
import type { FromChild } from './messages.ts';
import { startChild } from './sandbox.ts';

export function isolatedPlugin(
  found: FoundPackage,
  places: readonly string[],
  limits: IsolationLimits = LIMITS,
): Plugin<'detector'> {
  const { manifest, version, description } = found;
  return {
    meta: { kind: 'detector', id: manifest.id, version, description, api: manifest.api },
    options: isolatedSchema(found, limits),
    requires: manifest.requires,
    ...(manifest.signatures && { signatures: manifest.signatures }),
    setup: ({ options, signatures, logger }) =>
      IsolatedDetector.open({ found, options, signatures, places, logger, limits }),
    checkup: async ({ options }) => {
      const where = `${found.name} ${version} in ${found.directory}`;
      const answer = await askOnce(found, options, limits);
      if (typeof answer !== 'string') return [{ status: 'ok', detail: `${where}, in a process of its own` }];
      const remedy = `what it looks at is unscanned until it starts: lazaret plugin check ${found.directory}`;
      return [{ status: 'fail', detail: `${where} does not start: ${answer}`, remedy }];
    },
  };
}

/**
 * The plugin's own schema, asked in a child process. Options are not to blame when the plugin does not come to
 * answer: its detector then says what is wrong, and what it looks at is unscanned.
 */
function isolatedSchema(found: FoundPackage, limits: IsolationLimits): StandardSchema {
  return {
    '~standard': {
      version: 1,
      vendor: 'lazaret',
      validate: async (value) => {
        const answer = await askOnce(found, value, limits);
        return typeof answer === 'string' || answer.length === 0 ? { value } : { issues: answer };
      },
    },
  };
}

type Issues = Extract<FromChild, { type: 'checked' }>['issues'];

/** What the plugin finds wrong with the options, or why it cannot tell. */
export async function askOnce(
  found: FoundPackage,
  options: unknown,
  limits: IsolationLimits = LIMITS,
): Promise<Issues | string> {
  const { promise, resolve } = Promise.withResolvers<Issues | string>();
  const { memoryBytes, startMs } = limits;
  const process = await startChild(found, { readable: [], memoryBytes });
  const child = new PluginChild(process, memoryBytes, (message) =>
    resolve(
      message.type === 'checked'
        ? message.issues
        : message.type === 'failed'
          ? message.message
          : 'it said something else',
    ),
  );
  void child.ended.then(resolve);
  const timer = setTimeout(() => child.kill(`it did not answer within ${startMs} ms`), startMs);
  child.send({ type: 'check', entry: found.entry, options });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.kill('it has answered');
    await child.ended;
  }
}
