import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // Plugins import the public API by its published name; tests run it from source.
    alias: {
      'lazaret/plugin': fileURLToPath(new URL('./core/api/index.ts', import.meta.url)),
      'lazaret/testkit': fileURLToPath(new URL('./testkit/index.ts', import.meta.url)),
    },
  },
  oxc: { decorator: { legacy: true } },
  test: {
    include: ['{protocol,core,plugins,testkit,agent,demo,packaging,test,bench}/**/*.test.ts'],
    globalSetup: './test/temporary.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
