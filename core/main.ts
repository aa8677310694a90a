#!/usr/bin/env -S node --disable-warning=ExperimentalWarning --max-semi-space-size=8
/** The program `lazaret`. Nothing is imported before the Node that runs it is known to be able to. */
import { setFlagsFromString } from 'node:v8';

const NEEDED = 26;

// Content passes through in buffers outside of the heap, which make V8 mark the small heap over and over: in one
// go that costs a fifth less CPU time than step by step.
setFlagsFromString('--no-incremental-marking');
// Most of what a scan makes lives for a moment: the heap is looked through before it has grown by much, or the daemon
// would hold on to twice the memory that it needs.
setFlagsFromString('--heap-growing-percent=30');

if (Number(process.versions.node.split('.')[0]) < NEEDED) {
  process.stderr.write(
    `lazaret: needs Node ${NEEDED} or newer, and this is ${process.version} (node-too-old)\n` +
      `  next: install Node ${NEEDED}; in a checkout, npm ci brings it: npx node dist/core/main.js\n`,
  );
  process.exitCode = 69;
} else {
  const [{ runCommandLine }, { processIo }, { version }] = await Promise.all([
    import('./cli/program.ts'),
    import('./cli/io.ts'),
    import('./version.ts'),
  ]);
  // The engine is heavy, and what only looks at the state directory does without it.
  const engine = () => import('./container.ts');
  type Compose = typeof import('./container.ts')['compose'];
  const compose: Compose = async (settings, options) => (await engine()).compose(settings, options);
  await runCommandLine(process.argv.slice(2), version, {
    io: processIo(),
    catalogue: async (settings) => (await engine()).catalogueFor(settings),
    plugins: async (settings) => (await engine()).pluginsFor(settings),
    startEngine: compose,
    startHost: compose,
    apiSocket: ({ api }) => api.socket,
  });
}
