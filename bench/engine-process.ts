/**
 * The child of `engine.ts`: composes the engine with the settings of its argument, says so, and then scans what
 * each line of its input names (a JSON array of sockets), answering with a line of figures.
 */
import { createInterface } from 'node:readline';
import { setFlagsFromString } from 'node:v8';
import { defaults } from '../core/config/index.ts';
import { BUILT_IN, compose } from '../core/container.ts';
import { bareSocket } from '../core/hypervisor/sockets.ts';
import type { Services } from '../core/services.ts';
import { GuestPath } from '../protocol/index.ts';
import type { EngineSettings, ScanFigures } from './engine.ts';
import { cpuSecondsOfTree, descendantsOf, forgetPeak, peakMegabytes } from './processes.ts';

// As core/main.ts does.
setFlagsFromString('--no-incremental-marking');
setFlagsFromString('--heap-growing-percent=30');

const signal = new AbortController().signal;
const silent = () => undefined;

const { state, plugins, agentHashes, cloneLines } = JSON.parse(
  process.argv[2] as string,
) as EngineSettings & {
  state: string;
};
const base = defaults();
const settings = {
  ...base,
  state,
  policy: {
    ...base.policy,
    knownContent: {
      ...base.policy.knownContent,
      agentHashes: agentHashes ?? base.policy.knownContent.agentHashes,
      cloneLines: cloneLines ?? base.policy.knownContent.cloneLines,
    },
  },
  // No more is asked of it than of what it is compared with.
  packs: { ...base.packs, starter: false },
  plugins: {
    ...Object.fromEntries(BUILT_IN.map(({ meta: { id } }) => [id, { enabled: false }])),
    ...Object.fromEntries(
      Object.entries(plugins).map(([id, options]) => [id, { enabled: true, ...options }]),
    ),
  },
};
const begun = performance.now();
const services = await compose(settings, {
  events: { emit: async () => undefined },
  logger: { debug: silent, info: silent, warn: silent },
});
tell({ setUp: (performance.now() - begun) / 1000 });
for await (const line of createInterface(process.stdin)) {
  tell(await scan(services, JSON.parse(line) as string[]));
}
await services.close();

async function scan({ scanner }: Services, sockets: readonly string[]): Promise<ScanFigures> {
  const { pid } = process;
  for (const each of [pid, ...descendantsOf(pid)]) forgetPeak(each);
  const [cpu, begun] = [cpuSecondsOfTree(pid), performance.now()];
  const reports = await Promise.all(
    sockets.map((socket) => {
      const roots = [GuestPath.of('/')];
      return scanner.scan(
        { domain: bareSocket(socket), mode: 'detect', dryRun: true, fresh: false, roots },
        { signal },
      );
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  const summaries = reports.flatMap(({ scan: { summary } }) => summary ?? []);
  const unscanned: Record<string, number> = {};
  for (const { unscanned: each } of summaries) {
    for (const [reason, count] of Object.entries(each)) unscanned[reason] = (unscanned[reason] ?? 0) + count;
  }
  return {
    files: summaries.reduce((sum, { files }) => sum + files, 0),
    bytes: summaries.reduce((sum, { bytes }) => sum + bytes, 0),
    findings: summaries.reduce((sum, { malicious, suspicious }) => sum + malicious + suspicious, 0),
    unscanned,
    seconds,
    hostCpu: cpuSecondsOfTree(pid) - cpu,
    daemonMegabytes: peakMegabytes(pid),
    enginesMegabytes: descendantsOf(pid).reduce((sum, child) => sum + peakMegabytes(child), 0),
  };
}

function tell(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
